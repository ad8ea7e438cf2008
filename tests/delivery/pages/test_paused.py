"""Open circuit breakers on pages: what the customer is told of its credential, and what the staff see of all."""

from collections.abc import Iterator

import pytest
import redis
from django.core.cache import cache
from django.utils import timezone

from delivery.insight import pausing
from delivery.outcomes.transport import TransportFault
from delivery.worker.breaker import FAULTS
from hpns.staff import needs_of_service
from tenants import services
from tenants.models import Customer, PushApp
from tenants.providers import apple_files
from tests.browsing import Browser, browser, staff, tenant
from tests.delivery.paused import pause
from tests.tenants import files

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_kept(valkey: redis.Redis) -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def app(customer: Customer) -> PushApp:
    """Acme's app, with a credential that is good."""
    made = services.app_add(label="apple_own", topic="com.example.own", customer=customer).row
    parsed = apple_files.apple_key(files.p8(), key_id="CURRENT123", team_id="TEAM123456")
    services.credential_add(app=made, parsed=parsed)
    return made


def test_the_customers_app_page_says_that_we_hold_back_its_pushes_since_when_and_why(
    ada: Browser, app: PushApp, valkey: redis.Redis
) -> None:
    since = pause(valkey, app)
    text = ada.get(f"/c/acme/apps/{app.pk}/").content.decode()
    assert "its pushes are held back until api.push.apple.com answers again" in text
    assert "Apple (api.push.apple.com) does not answer in time, so that we have held back pushes to apple_own" in text
    assert ": 1,234 so far" in text
    assert f'datetime="{since:%Y-%m-%dT%H:%M}' in text
    assert "Nothing is to be done about the credential" in text


def test_home_and_the_list_of_apps_are_not_green_meanwhile(ada: Browser, app: PushApp, valkey: redis.Redis) -> None:
    pause(valkey, app)
    home = ada.get("/c/acme/")
    (trouble,) = [each for each in home.context["troubles"] if each.kind == "credential_paused"]
    assert (trouble.mark, trouble.attribution, trouble.provider) == ("bad", "provider", "apns")
    assert trouble.link == f"/c/acme/apps/{app.pk}/"
    (row,) = ada.get("/c/acme/apps/").context["rows"]
    assert row[2] == {"kind": "bad", "text": "Paused"}


def test_pages_are_as_ever_when_no_breaker_is_open_or_whoever_told_of_it_is_gone(
    ada: Browser, app: PushApp, valkey: redis.Redis
) -> None:
    assert "pushes are signed with TEAM123456/CURRENT123" in ada.get(f"/c/acme/apps/{app.pk}/").content.decode()
    cache.clear()
    pause(valkey, app)
    assert ada.get("/c/acme/apps/").context["rows"][0][2]["text"] == "Paused"
    pause(valkey, app, ago=60)
    cache.clear()
    (row,) = ada.get("/c/acme/apps/").context["rows"]
    assert row[2] == {"kind": "good", "text": "Signed for"}
    assert not [each for each in ada.get("/c/acme/").context["troubles"] if each.kind == "credential_paused"]


def test_users_of_a_shared_app_are_told_without_the_figures_of_others(
    ada: Browser, customer: Customer, valkey: redis.Redis
) -> None:
    shared = services.app_add(label="apple_rn", topic="com.mattermost.rn").row
    parsed = apple_files.apple_key(files.p8(), key_id="SHARED1234", team_id="TEAM123456")
    services.credential_add(app=shared, parsed=parsed)
    pause(valkey, shared, reason="503")
    assert "held back" not in ada.get("/c/acme/").content.decode()
    customer.entitlement.may_use_shared = True
    customer.entitlement.save()
    text = ada.get("/c/acme/").content.decode()
    assert "Apple (api.push.apple.com) answers 503, so that we have held back pushes to apple_rn" in text
    assert "1,234" not in text
    assert 'href="/c/acme/delivery/providers/"' in text


def test_another_customer_is_told_nothing(app: PushApp, valkey: redis.Redis) -> None:
    pause(valkey, app)
    cosmos = browser(tenant("Cosmos").customer, "owner")
    assert "held back" not in cosmos.get("/c/cosmos/").content.decode()


def test_the_staffs_panel_lists_each_with_why_since_when_the_next_probe_and_what_was_held_back(
    app: PushApp, valkey: redis.Redis
) -> None:
    since = pause(valkey, app)
    answer = Browser().enter(staff(), factor=True).get("/admin/boards/providers/")
    (row,) = answer.context["breaker_rows"]
    assert row[0]["text"] == "Acme"
    assert row[1]["text"] == "apple_own"
    assert row[2:4] == [{"code": "TEAM123456/CURRENT123"}, {"kind": "bad", "text": "Open"}]
    assert abs((row[4]["at"] - since).total_seconds()) < 1
    assert row[5] == "api.push.apple.com does not answer in time"
    assert row[6]["at"] > since
    assert row[7:] == [1_234]
    text = answer.content.decode()
    assert "With 1 credential nothing is sent for the moment but probes" in text
    assert "1,234" in text
    (credential,) = answer.context["credential_rows"]
    assert credential[3] == {"kind": "bad", "text": "Paused", "code": TransportFault.TIMEOUT.value}


def test_a_half_open_breaker_says_that_probes_are_under_way_and_a_removed_credential_breaks_nothing(
    app: PushApp, valkey: redis.Redis
) -> None:
    pause(valkey, app, is_probing=True, credential_id=0)
    (row,) = Browser().enter(staff(), factor=True).get("/admin/boards/providers/").context["breaker_rows"]
    assert (row[0], row[3]["text"], row[6]) == ("Removed", "Half open", "Under way")


def test_the_staffs_first_page_counts_paused_credentials(app: PushApp, valkey: redis.Redis) -> None:
    assert list(needs_of_service.paused_credentials(timezone.now())) == []
    cache.clear()
    since = pause(valkey, app)
    (need,) = needs_of_service.paused_credentials(timezone.now())
    assert (need.kind, need.number) == ("bad", 1)
    assert need.since is not None
    assert abs((need.since - since).total_seconds()) < 1
    assert need.url.endswith("/admin/boards/providers/#breakers")


@pytest.mark.parametrize("fault", [*TransportFault])
def test_every_fault_that_opens_a_breaker_has_words(fault: TransportFault) -> None:
    assert (fault.value in pausing._WHY) == (fault in FAULTS)
