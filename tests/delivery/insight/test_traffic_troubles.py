"""Troubles that are seen at the door and by silence, read as their page says them."""

from datetime import timedelta
from typing import Final

import pytest

from delivery.insight.trouble import Severity
from delivery.outcomes import judge
from tenants.models import Server, ServerKey
from tests.browsing import Tenant
from tests.delivery.insight.troubled import NOW, count_all, only, pushes, read, rejected
from tests.delivery.rollups.pushes import HOUR, SENT

pytestmark = pytest.mark.django_db

SENTENCES: Final = {
    "wrong_network": "chat.acme.example pushes from 192.0.2.7, which is none of its networks: each push is refused",
    "revoked_key": "chat.acme.example still sends with the revoked key hk_Acme0000: each push is refused",
    "expired_key": "chat.acme.example still sends with the key hk_Acme0000, which has expired: each push is refused",
    "unknown_key": "Requests from 192.0.2.7 with a key that is not known seem to be of chat.acme.example (the key "
    "begins as hk_Acme0000, or",
    "plain_http": "chat.acme.example sends its key hk_Acme0000 over plain HTTP, where others can read it",
    "two_keys": "chat.acme.example sends two keys at once, hk_Acme0000 in the path and another one",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_what_is_refused_at_the_door_says_from_where_with_which_key_and_what_to_do(acme: Tenant, code: str) -> None:
    rejected(acme.key, code)
    found = only(acme)
    assert found.sentence.startswith(SENTENCES[code])
    assert found.told().endswith(f", 12 so far ({code}).")
    assert (found.since, found.severity) == (NOW - timedelta(hours=1), Severity.STOPPED)
    assert found.link.startswith(f"/c/acme/servers/{acme.server.public_id}/#")
    assert only(acme, server=acme.server) == found


def test_a_stranger_with_the_beginning_of_a_key_is_a_warning_as_long_as_pushes_come(acme: Tenant) -> None:
    ServerKey.objects.update(last_used_at=NOW)
    rejected(acme.key, "unknown_key")
    rejected(acme.key, "unknown_key", address="192.0.2.8")
    found = only(acme)
    assert found.mark == "warn"
    assert "from 2 addresses, such as 192.0.2.8" in found.sentence
    assert "24 so far" in found.more


def test_what_was_refused_two_days_ago_is_over(acme: Tenant) -> None:
    rejected(acme.key, "revoked_key", NOW - timedelta(days=2))
    assert read(acme) == []


def test_requests_that_cannot_be_read_are_said_once_with_their_address(acme: Tenant) -> None:
    pushes(acme, judge.refusal("malformed"), count=12)
    count_all()
    rejected(acme.key, "malformed")
    assert only(acme).told() == ("Requests of chat.acme.example from 192.0.2.7 cannot be read, 12 so far (malformed).")


def hourly(acme: Tenant, server: Server, until: int, hours: int = 40) -> None:
    """A push in each hour of some, the last one so many minutes after HOUR."""
    for back in range(hours):
        pushes(acme, SENT, minute=until - 60 * back, server=server.pk)


def test_nothing_since_the_minute_of_the_last_push_where_pushes_used_to_come(acme: Tenant) -> None:
    other = Server.objects.create(customer=acme.customer, name="other")
    ServerKey.objects.create(server=other, prefix="Other000", digest=b"o" * 32)
    hourly(acme, acme.server, -58)
    hourly(acme, other, 100)
    count_all()
    found = only(acme)
    assert (found.kind, found.sentence) == ("silence", "Nothing has come from chat.acme.example")
    assert found.since == HOUR - timedelta(minutes=58)
    assert found.link == f"/c/acme/servers/{acme.server.public_id}/"
    assert read(acme, server=other) == []
    assert only(acme, server=acme.server) == found


def test_who_pushed_now_and_then_is_not_missed(acme: Tenant) -> None:
    hourly(acme, acme.server, -300, hours=5)
    count_all()
    assert read(acme) == []


def test_a_quiet_night_is_no_silence(acme: Tenant) -> None:
    for day in range(8):
        for hour in range(3):
            pushes(acme, SENT, minute=-60 * (24 * day + 8 + hour))
    count_all()
    assert read(acme) == []


def test_a_customer_with_many_servers_is_watched_as_a_whole(acme: Tenant) -> None:
    Server.objects.bulk_create(Server(customer=acme.customer, name=f"s{number}") for number in range(30))
    hourly(acme, acme.server, -58)
    count_all()
    assert "Nothing has come from Acme" in [each.sentence for each in read(acme)]
