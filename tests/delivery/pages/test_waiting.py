"""Pushes that wait to be tried again are said on the pages of what is under way, of their customer alone."""

import msgspec
import pytest
import redis
from django.core.cache import cache

from delivery.insight import waiting
from delivery.queue import dead_letters, due_list, ledger
from tests.tenants.conftest import Cast

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
PAGES = ("/c/acme/delivery/", "/c/acme/delivery/live/")


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    cache.clear()


def wait(valkey: redis.Redis, customer: int, *names: str) -> None:
    """So many pushes are to be tried again in a minute."""
    for name in names:
        head = msgspec.json.encode(ledger.Head(name, 1.0, customer, 1, 1, 700))
        valkey.hset(due_list.ITEMS, name, head + b"\0sealed")
        valkey.zadd(due_list.DUE, {name: 1e13})


def test_the_pages_say_how_many_wait_of_the_customer_and_not_of_others(valkey: redis.Redis, cast: Cast) -> None:
    wait(valkey, cast.cosmos.customer.pk, "c-1")
    for page in PAGES:
        assert "to be tried again" not in cast.ben.get(page).content.decode()
    wait(valkey, cast.acme.customer.pk, "a-1", "a-2", f"{dead_letters.REPLAY}a-3")
    cache.clear()
    for page in PAGES:
        part = cast.ben.get(page, headers={"HX-Request": "true"})
        assert "2 pushes wait to be tried again. They are counted" in part.content.decode()
        assert "2 pushes wait" in cast.ben.get(page).content.decode()


def test_the_tail_is_sent_again_when_none_waits_any_more(valkey: redis.Redis, cast: Cast) -> None:
    wait(valkey, cast.acme.customer.pk, "a-1")
    asked = {"HX-Request": "true"}
    first = cast.ben.get(PAGES[1], headers=asked)
    assert "1 push waits to be tried again. It is" in first.content.decode()
    asked["If-None-Match"] = first["ETag"]
    assert cast.ben.get(PAGES[1], headers=asked).status_code == 304
    valkey.delete(due_list.DUE)
    cache.clear()
    assert "to be tried again" not in cast.ben.get(PAGES[1], headers=asked).content.decode()


def test_no_more_than_a_bound_are_looked_at_and_the_words_say_so(
    valkey: redis.Redis, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST", 2)
    wait(valkey, cast.acme.customer.pk, "a-1", "a-2", "a-3")
    assert waiting.sentence(cast.acme.customer.pk).startswith("At least 2 pushes wait")
    assert waiting.sentence(cast.cosmos.customer.pk) == ""


def test_without_valkey_nothing_is_said(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_: float) -> None:
        raise redis.ConnectionError("away")

    monkeypatch.setattr(waiting.redis_client, "connect", away)
    assert waiting.sentence(cast.acme.customer.pk) == ""
