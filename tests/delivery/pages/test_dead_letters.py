"""The staff's board of dead letters: by cause, replayed and discarded, each in the audit log."""

import pytest
import redis
from django.contrib.auth.models import Permission
from django.core.cache import cache

from delivery.queue import dead_letters, due_list, shared_clock
from tenants.models import AuditEvent, Customer
from tests.browsing import Browser, staff

pytestmark = pytest.mark.django_db

BOARD = "/admin/boards/dead-letters/"


@pytest.fixture
def somebody(valkey: redis.Redis) -> Browser:
    cache.clear()
    return Browser().enter(staff(), factor=True)


def keep(valkey: redis.Redis, customer: int, number: int, code: str = "apns_bad_topic") -> None:
    """A push that has failed."""
    now = shared_clock.now()
    trace = f"abcdef012345-{number:x}"
    letter = dead_letters.Letter(trace, customer, 1, "message", now - 9, now, "refused", code, 2, now + 900)
    packed, parts = dead_letters.keeping(letter, b"head\0sealed"), []
    rest = packed[packed.index(b"\r\n") + 2 :]
    while rest:
        length, _, rest = rest[1:].partition(b"\r\n")
        parts.append(rest[: int(length)])
        rest = rest[int(length) + 2 :]
    valkey.execute_command(*parts)


def test_it_says_how_many_can_be_sent_once_more_by_cause_and_lists_those_of_one(
    somebody: Browser, valkey: redis.Redis, customer: Customer
) -> None:
    assert "No push that failed" in somebody.get(BOARD).content.decode()
    for number in (1, 2):
        keep(valkey, customer.pk, number)
    keep(valkey, customer.pk, 3, "apns_trouble")
    page = somebody.get(f"{BOARD}?code=apns_bad_topic")
    assert "3 pushes of 1 customer failed after their servers were told OK" in page.content.decode()
    assert [(cause["code"], cause["count"]) for cause in page.context["causes"]] == [
        ("apns_bad_topic", 2),
        ("apns_trouble", 1),
    ]
    assert [row[0]["text"] for row in page.context["rows"]] == ["abcdef012345-2", "abcdef012345-1"]


@pytest.mark.parametrize(("act", "due"), [("replay", 2), ("discard", 0)])
def test_all_pushes_of_a_cause_are_replayed_or_discarded_and_the_audit_log_says_so(
    somebody: Browser, valkey: redis.Redis, customer: Customer, act: str, due: int
) -> None:
    for number in (1, 2):
        keep(valkey, customer.pk, number)
    keep(valkey, customer.pk, 3, "apns_trouble")
    assert somebody.post(BOARD, {"act": act, "code": "apns_bad_topic"}).status_code == 302
    assert (valkey.zcard(due_list.DUE), valkey.zcard(dead_letters.DEAD)) == (due, 1)
    (event,) = AuditEvent.objects.filter(action=f"letter.{act}")
    assert (event.customer_id, event.target, event.details["pushes"]) == (customer.pk, "apns_bad_topic", 2)


def test_before_a_cause_is_discarded_a_page_says_what_goes_and_changes_nothing(
    somebody: Browser, valkey: redis.Redis, customer: Customer
) -> None:
    for number in (1, 2):
        keep(valkey, customer.pk, number)
    page = somebody.get(BOARD).content.decode()
    assert 'value="discard"' not in page
    assert 'href="?discard=apns_bad_topic"' in page
    asked = somebody.get(f"{BOARD}?discard=apns_bad_topic").content.decode()
    assert "2 pushes of 1 customer are forgotten at once" in asked
    assert 'name="act" value="discard">Discard 2 pushes of 1 customer</button>' in asked
    assert valkey.zcard(dead_letters.DEAD) == 2
    assert "Dead letters</h1>" in somebody.get(f"{BOARD}?discard=apns_trouble").content.decode()


def test_whoever_may_only_look_is_not_obeyed(valkey: redis.Redis, customer: Customer) -> None:
    cache.clear()
    somebody = staff()
    somebody.is_superuser = False
    somebody.save()
    somebody.user_permissions.add(Permission.objects.get(codename="view_delivery"))
    browser = Browser().enter(somebody, factor=True)
    keep(valkey, customer.pk, 1)
    page = browser.get(BOARD)
    assert (page.status_code, "Send once more" in page.content.decode()) == (200, False)
    assert browser.post(BOARD, {"act": "replay", "code": "apns_bad_topic"}).status_code == 403
    assert browser.get(f"{BOARD}?discard=apns_bad_topic").status_code == 403
    assert valkey.zcard(dead_letters.DEAD) == 1
