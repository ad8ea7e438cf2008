"""What explains a change of the curves."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from delivery.insight.charts import MarkerKind
from delivery.insight.markers import MARKERS_MOST, around, markers
from tenants import scope, services
from tenants.audit import recording
from tenants.models import Sighting
from tests.browsing import Tenant, tenant
from tests.roles import PAGES, acting_as

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)


@pytest.fixture
def acme() -> Tenant:
    """A customer."""
    return tenant("Acme")


def labels(of: Tenant, **span: datetime) -> list[str]:
    """The words of the markers of the last hour, as a page reads them."""
    with acting_as(PAGES), scope.customer(of.customer):
        bounds = {"start": NOW - timedelta(hours=1), "end": NOW + timedelta(hours=1), **span}
        return [marker.label for marker in markers(of.customer, **bounds)]


def sighted(of: Tenant, platform: str, ago: timedelta) -> None:
    """Note that its server first sent for a platform so long ago."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO delivery_platform_sighting (customer_id, server_id, platform, first_at) "
            "VALUES (%s, %s, %s, %s)",
            [of.customer.pk, of.server.pk, platform, NOW - ago],
        )


def test_acts_that_pushes_depend_on_are_told_without_who_did_them(acme: Tenant) -> None:
    services.key_revoke(key=acme.key)
    services.server_networks(server=acme.server, networks=["192.0.2.0/24"])
    recording.record("member.role", customer=acme.customer, target="ada@acme.example")
    assert labels(acme) == [f"Key {acme.key} was revoked", "Where chat.acme.example may push from was changed"]
    assert not any("@" in label for label in labels(acme))


def test_acts_on_others_and_at_other_times_are_none_of_ours(acme: Tenant) -> None:
    cosmos = tenant("Cosmos")
    services.key_revoke(key=cosmos.key)
    sighted(cosmos, "apple_rn-v2", timedelta(minutes=1))
    sighted(acme, "apple_rn", timedelta(hours=2))
    assert labels(acme) == []
    assert labels(acme, start=NOW - timedelta(hours=3)) == ["chat.acme.example first sent for apple_rn"]


def test_a_platform_that_is_new_and_a_key_with_another_server_id_are_marked_in_order(acme: Tenant) -> None:
    for ago, name in ((50, "one"), (20, "two")):
        at = NOW - timedelta(minutes=ago)
        Sighting.objects.create(key=acme.key, mattermost_id=name, first_at=at, last_at=at)
    sighted(acme, "apple_rn-v2", timedelta(minutes=30))
    with scope.customer(acme.customer):
        found = markers(acme.customer, NOW - timedelta(hours=1), NOW, acme.server)
    assert [marker.kind for marker in found] == [MarkerKind.VERSION, MarkerKind.NETWORK]
    assert found[1].label.endswith("first came with the server_id two")


def test_of_very_many_the_latest_are_shown(acme: Tenant) -> None:
    for number in range(MARKERS_MOST + 5):
        recording.record("key.add", customer=acme.customer, target=f"hk_{number}")
    found = labels(acme)
    assert len(found) == MARKERS_MOST
    assert found[-1] == f"Key hk_{MARKERS_MOST + 4} was made"


def test_of_what_changed_before_something_broke_the_last_is_named_first(acme: Tenant) -> None:
    for number, ago in enumerate((90, 29, 20, 10, 1, -2)):
        sighted(acme, f"apple_{number}", timedelta(minutes=ago))
    with acting_as(PAGES), scope.customer(acme.customer):
        found = around(acme.customer, NOW, timedelta(minutes=1))
    assert [marker.label.rpartition("_")[2] for marker in found] == ["4", "3", "2"]
