"""From a rejected request to its row: counted in the web process, bounded, handed on at once and then by the minute."""

import json

import pytest
import redis

from delivery.queue import rejections, valkey
from delivery.queue.rejections import SEEN, SHARE, Rejections
from tenants import services
from tenants.models import Customer, Rejection
from tenants.network import TrustedProxies, networks
from tenants.refusals import Whose
from tests.tenants.push_request import Request

ACME, COSMOS = Whose(1, 3), Whose(2, 4)
PROXIES = TrustedProxies(networks(["10.0.0.0/8"]))


def from_(address: str, **more: str) -> Request:
    return Request(peer=f"{address}:4711", **more)


async def waiting(link: valkey.Link, store: redis.Redis) -> list[tuple[int, str, str, int]]:
    """What has been handed over: key, code, address and how many."""
    await link.drain()
    return [(key, code, address, count) for key, code, address, count, *_ in map(json.loads, store.lrange(SEEN, 0, -1))]


async def test_the_first_is_handed_on_at_once_and_what_follows_by_the_minute(
    link: valkey.Link, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = Rejections(link)
    for _ in range(3):
        seen.observe(ACME, "revoked_key", from_("192.0.2.7"), PROXIES)
        seen.flush()
    assert await waiting(link, store) == [(3, "revoked_key", "192.0.2.7", 1)]
    monkeypatch.setattr(rejections, "AGAIN", -1.0)
    seen.flush()
    assert (await waiting(link, store))[1:] == [(3, "revoked_key", "192.0.2.7", 2)]


async def test_the_address_and_the_scheme_are_the_clients_behind_a_proxy_of_ours(
    link: valkey.Link, store: redis.Redis
) -> None:
    seen = Rejections(link)
    through = {"x_forwarded_for": "192.0.2.7", "x_forwarded_proto": "http"}
    seen.observe(ACME, "plain_http", from_("10.0.0.1", scheme="http", **through), PROXIES)
    seen.observe(ACME, "wrong_network", Request(peer="192.0.2.8:1", tls="TLSv1.2"), PROXIES)
    seen.flush()
    await link.drain()
    found = [json.loads(entry) for entry in store.lrange(SEEN, 0, -1)]
    assert [(entry[2], *entry[6:]) for entry in found] == [
        ("192.0.2.7", False, ""),
        ("192.0.2.8", True, "TLSv1.2"),
    ]


async def test_one_customers_addresses_do_not_hide_another_customer(
    link: valkey.Link, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejections, "ENTRIES_MOST", 3 * SHARE)
    seen = Rejections(link)
    for number in range(5_000):
        seen.observe(ACME, "unknown_key", from_(f"198.18.{number // 250}.{number % 250}"), PROXIES)
    seen.observe(COSMOS, "unknown_key", from_("192.0.2.7"), PROXIES)
    assert len(seen._counted) == SHARE + 2
    seen.flush()
    found = await waiting(link, store)
    assert found[-1] == (4, "unknown_key", "192.0.2.7", 1)
    assert (3, "unknown_key", "", 5_000 - SHARE) in found


async def test_while_valkey_is_away_the_counts_wait_within_their_bound(
    link: valkey.Link, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejections, "ENTRIES_MOST", 5)
    seen = Rejections(link)
    link.up = False
    for number in range(50):
        seen.observe(Whose(number, number), "revoked_key", from_("192.0.2.7"), PROXIES)
        seen.flush()
    assert len(seen._counted) == 5
    link.up = True
    seen.flush()
    assert len(await waiting(link, store)) == 5
    assert not seen._counted
    assert not seen._shares
    assert not seen._customers


@pytest.mark.django_db
def test_what_waits_is_written_and_gone(store: redis.Redis, customer: Customer) -> None:
    server = services.server_add(customer=customer, name="chat").row
    key = services.key_add(server=server).row
    store.rpush(SEEN, json.dumps((key.pk, "expired_key", "192.0.2.7", 4, 60, 120, True, "TLSv1.3")))
    assert rejections.write(store) == 1
    row = Rejection.objects.get()
    assert (row.key, row.code, row.count) == (key, "expired_key", 4)
    assert rejections.write(store) == 0
