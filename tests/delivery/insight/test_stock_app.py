"""Whether an app's phones run another app: said where all its pushes say so, and nowhere else."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from delivery.insight import stock_app
from delivery.outcomes import judge
from delivery.providers import table
from delivery.rollups import rebuilding
from tenants import scope, services
from tenants.models import Customer, PushApp
from tests.browsing import Browser
from tests.delivery.rollups.pushes import HOUR, SENT, write

pytestmark = pytest.mark.django_db
APPLE, GOOGLE = (table.PROVIDERS[family].outcomes.answers for family in ("apns", "fcm"))
OTHER_APP, OTHER_HOST = APPLE[400, "DeviceTokenNotForTopic"], APPLE[400, "BadDeviceToken"]
OTHER_PROJECT = GOOGLE[403, "SENDER_ID_MISMATCH"]
THEIRS = APPLE[503, "ServiceUnavailable"]


@pytest.fixture
def app(customer: Customer) -> PushApp:
    row = services.app_add(label="apple_rn", topic="com.acme.chat", customer=customer).row
    PushApp.objects.filter(pk=row.pk).update(created_at=timezone.now() - timedelta(days=20))
    row.refresh_from_db()
    return row


def pushed(app: PushApp, *verdicts: Any) -> None:
    """Pushes of the app with these verdicts, an hour ago."""
    start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    for number, verdict in enumerate(verdicts):
        second = (start - HOUR).total_seconds() + number
        write(f"t{number}", second, verdict, customer=app.customer_id or 0, app=app.pk)
    rebuilding.rebuild(start, start + timedelta(hours=1))


def found(app: PushApp) -> stock_app.StockApp | None:
    """What is said of the app, alone and among all: the same."""
    with scope.customer(app.customer_id or 0):
        one = stock_app.detect(app, timezone.now())
        assert stock_app.detect_all(timezone.now(), PushApp.objects.filter(enabled=True)) == ([one] if one else [])
    return one


def test_an_app_whose_pushes_all_miss_its_topic_is_told_of(app: PushApp) -> None:
    pushed(app, *[OTHER_APP] * 14)
    one = found(app)
    assert one is not None
    assert (one.app, one.pushes, one.codes) == (app, 14, ("apns_device_token_not_for_topic",))
    assert one.sentence.startswith("All 14 pushes of app apple_rn that Apple has judged since ")
    assert "these phones run another app than com.acme.chat: most likely the one from the store" in one.sentence
    assert "cannot be served with other keys" in one.sentence
    assert "Let your users install your app" in one.advice
    assert "host" not in one.advice


def test_where_the_host_may_be_wrong_that_is_said_too(app: PushApp) -> None:
    pushed(app, *[OTHER_HOST] * 3)
    one = found(app)
    assert one is not None
    assert "its host at the provider (production or sandbox)" in one.advice


def test_an_app_of_google_is_told_of_by_its_project(customer: Customer) -> None:
    app = services.app_add(label="android_rn", topic="com.acme.chat", customer=customer).row
    pushed(app, *[OTHER_PROJECT] * 3)
    one = found(app)
    assert one is not None
    assert "that Google has judged" in one.sentence
    assert "the service account has to be of the project" in one.advice


def test_faults_of_ours_and_of_the_provider_say_nothing_about_the_phones(app: PushApp) -> None:
    pushed(app, *[OTHER_APP] * 3, THEIRS)
    assert found(app) is not None


@pytest.mark.parametrize(
    "verdicts",
    [
        (),
        (OTHER_APP, OTHER_APP),
        (OTHER_APP, OTHER_APP, OTHER_APP, SENT),
        (OTHER_APP, OTHER_APP, OTHER_APP, APPLE[400, "BadTopic"]),
        (OTHER_APP, OTHER_APP, OTHER_APP, APPLE[410, "Unregistered"]),
        (THEIRS, THEIRS, THEIRS),
        (judge.refusal("no_app"),) * 3,
    ],
)
def test_where_anything_else_was_said_nothing_is(app: PushApp, verdicts: tuple[Any, ...]) -> None:
    pushed(app, *verdicts)
    assert found(app) is None


def test_the_app_page_says_it_first(ada: Browser, app: PushApp) -> None:
    address = f"/c/acme/apps/{app.pk}/"
    assert "most likely the one from the store" not in ada.get(address).content.decode()
    pushed(app, *[OTHER_APP] * 3)
    text = ada.get(address).content.decode()
    assert "All 3 pushes of app apple_rn" in text
    assert "these phones run another app than com.acme.chat" in text
