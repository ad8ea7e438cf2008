"""The receipts of pushes that are known: whenever they came, joined with their push or not yet."""

import time

import pytest

from delivery.log import acknowledged
from delivery.models import Delivery
from tests.browsing import Tenant, tenant
from tests.delivery.logged_pushes import TRACE, acknowledge, log

pytestmark = pytest.mark.django_db
DAY = 86_400
MINUTE = 60


@pytest.fixture
def acme() -> Tenant:
    return tenant("Acme")


def found() -> dict[str, list[str]]:
    return {trace: [one.id for one in each] for trace, each in acknowledged.receipts(Delivery.objects.all()).items()}


@pytest.mark.parametrize("days", [0, 1, 9, 40])
def test_a_receipt_that_came_late_is_found(acme: Tenant, days: int) -> None:
    at = log(acme, age=41 * DAY)
    receipt = acknowledge(acme, at + days * DAY + 1, trace=TRACE)
    assert found() == {TRACE: [receipt.id]}


def test_several_of_one_push_stand_in_the_order_in_which_they_came(acme: Tenant) -> None:
    at = log(acme, age=3 * DAY)
    ids = [acknowledge(acme, at + seconds, trace=TRACE, repeated=seconds > 1).id for seconds in (9, 1, 5)]
    assert found() == {TRACE: [ids[1], ids[2], ids[0]]}


def test_one_that_is_not_joined_yet_is_found_by_its_ack_id(acme: Tenant) -> None:
    at = log(acme, age=10)
    receipt = acknowledge(acme, at + 1)
    assert found() == {TRACE: [receipt.id]}


def test_one_of_another_server_or_push_at_the_same_moment_is_not(acme: Tenant) -> None:
    at = log(acme, age=10)
    acknowledge(tenant("Cosmos"), at + 1)
    receipt = acknowledge(acme, at + 2, "another", trace=TRACE)
    receipt.trace = "another-1"
    receipt.save()
    assert found() == {}


def test_the_page_of_one_push_also_knows_one_that_is_never_joined(acme: Tenant) -> None:
    at = log(acme, age=20 * DAY)
    receipt = acknowledge(acme, at + MINUTE)
    (push,) = Delivery.objects.all()
    assert found() == {}
    assert [one.id for one in acknowledged.receipts_of(push)] == [receipt.id]


def test_a_push_without_an_ack_id_has_none(acme: Tenant) -> None:
    log(acme, age=10, ack_id="")
    acknowledge(acme, time.time())
    assert found() == {}
