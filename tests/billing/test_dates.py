"""One way to say an end: the page of the licence and that of the subscription name the same day."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from billing.dates import last_day
from billing.models import LicenceProof
from billing.subscriptions import by_licence
from tests.billing.subscriptions.agreed import seed
from tests.browsing import Browser, member, tenant

MIDNIGHT = datetime(2026, 9, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (MIDNIGHT, "1 September 2026"),
        (MIDNIGHT - timedelta(milliseconds=1), "1 September 2026"),
        (MIDNIGHT + timedelta(hours=4), "2 September 2026"),
        (MIDNIGHT.astimezone(), "1 September 2026"),
    ],
)
def test_an_end_is_said_as_the_last_day_that_is_included(at: datetime, said: str) -> None:
    assert last_day(at) == said


@pytest.mark.django_db
@pytest.mark.usefixtures("valkey")
def test_the_licence_and_the_subscription_that_rests_on_it_end_on_the_same_day() -> None:
    seed()
    acme, now = tenant("Acme"), timezone.now()
    ends = (now + timedelta(days=300)).replace(hour=0, minute=0, second=0, microsecond=0)
    common = {"issuer": "i", "licence_id": "l" * 26, "digest": "d", "sku": "professional", "users": 9}
    LicenceProof.objects.create(
        customer=acme.customer, server=acme.server, starts_at=now - timedelta(days=9), expires_at=ends, **common
    )
    by_licence.begin(acme.customer, now)
    owner = Browser().enter(member("ada", acme.customer, "owner"))  # type: ignore[arg-type]
    for page in ("licence", "subscription"):
        text = " ".join(owner.get(f"/c/acme/{page}/").content.decode().split())
        assert last_day(ends) in text, page
        assert last_day(ends + timedelta(days=1)) not in text.replace(f"{ends:%-d %b %Y}", ""), page
