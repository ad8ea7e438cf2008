"""Pushes of nobody known: shown to whose they may be, else to staff, within bounds."""

import pytest

from tenants import rejections, services, strangers
from tenants.models import Rejection, Sighting, UnknownCaller
from tenants.strangers import Stranger
from tests.tenants.conftest import Acme

pytestmark = pytest.mark.django_db
NOW = 1_790_000_000


def seen(address: str = "198.51.100.7", server_id: str = "", *, requests: int = 1, at: int = NOW) -> Stranger:
    return Stranger("unknown_key", address, server_id, requests, at, at, True, "TLSv1.3")


def test_what_comes_from_the_networks_of_one_server_is_shown_at_that_server(acme: Acme) -> None:
    services.server_networks(server=acme.server, networks=["198.51.100.0/24", "2001:db8::/32"])
    strangers.record([seen(requests=3), seen("2001:db8::1"), seen("203.0.113.1")])
    rows = Rejection.objects.order_by("address").values_list("key_id", "code", "address", "count")
    assert list(rows) == [
        (acme.key.pk, "unknown_key", "198.51.100.7", 3),
        (acme.key.pk, "unknown_key", "2001:db8::1", 1),
    ]
    assert [row.address for row in UnknownCaller.objects.all()] == ["203.0.113.1"]


def test_what_carries_a_server_id_that_came_with_a_servers_key_is_shown_at_that_server(acme: Acme) -> None:
    row = Sighting(key=acme.key, mattermost_id="seen-before", first_at="2026-01-01 00:00Z", last_at="2026-01-01 00:00Z")
    row.save()
    strangers.record([seen(server_id="seen-before"), seen(server_id="never-seen")])
    assert list(Rejection.objects.values_list("key_id", flat=True)) == [acme.key.pk]
    assert [row.mattermost_id for row in UnknownCaller.objects.all()] == ["never-seen"]


def test_what_named_the_servers_own_key_is_told_from_what_is_only_thought_to_be_the_servers(acme: Acme) -> None:
    services.server_networks(server=acme.server, networks=["198.51.100.0/24"])
    strangers.record([seen()])
    assert Rejection.objects.get().guessed
    rejections.record([rejections.News(acme.key.pk, "unknown_key", "198.51.100.7", 1, NOW, NOW, True, "TLSv1.3")])
    assert not Rejection.objects.get().guessed
    strangers.record([seen()])
    assert not Rejection.objects.get().guessed


def test_what_may_be_of_several_servers_is_for_staff(acme: Acme) -> None:
    other = services.server_add(customer=acme.customer, name="other").row
    for server in (acme.server, other):
        services.server_networks(server=server, networks=["198.51.100.0/24"])
    strangers.record([seen()])
    assert (Rejection.objects.count(), UnknownCaller.objects.count()) == (0, 1)


def test_the_list_for_staff_counts_and_keeps_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strangers, "ROWS_MOST", 3)
    strangers.record([seen(f"203.0.113.{number}", at=NOW + number) for number in range(6)])
    strangers.record([seen("203.0.113.5", requests=4, at=NOW + 9), seen("", at=NOW + 7)])
    rows = UnknownCaller.objects.values_list("address", "count")
    assert list(rows) == [("203.0.113.5", 5), ("", 1), ("203.0.113.4", 1)]
