"""The canary's pushes are in its own figures, and in nobody else's: no sum, no rate, no board, no metric of pushes."""

import asyncio
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.db.utils import ProgrammingError

from billing.incidents import canary
from delivery.ingest.pending import PendingPush
from delivery.ingest.refusals import TurnedAwayPushes
from delivery.insight import customers, providers
from delivery.log import erasing
from delivery.metrics import counting
from delivery.models import Hour, ServiceHour, ServiceMinute
from delivery.outcomes import judge
from delivery.protocol.wire import Push
from delivery.queue import batch, valkey
from delivery.rollups import checking
from delivery.rollups.increments import Cell, Increments
from delivery.rollups.rebuilding import rebuild
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.settlement import Settler
from tenants import scope
from tenants.directory import reading, snapshot
from tenants.directory.live import DIRECTORY
from tenants.directory.snapshot import Identity
from tenants.models import Customer
from tests.browsing import tenant
from tests.delivery.insight import recent
from tests.delivery.rollups import pushes
from tests.delivery.rollups.pushes import HOUR
from tests.roles import PAGES, acting_as

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture
def own() -> Customer:
    return canary.setup().row.customer


def test_what_is_written_beside_the_log_is_the_canarys_alone_and_so_is_what_is_counted_anew(own: Customer) -> None:
    cell = Cell(HOUR, own.pk, 2, 4, "apns", "clear", "sent", "sent", "provider", counts=True)
    made = Increments()
    made.push(cell, 2, 30)
    made.push(cell._replace(customer_id=own.pk + 1), 3, 30)
    with connection.cursor() as cursor:
        made.write(cursor)
    assert [row.pushes for row in ServiceMinute.objects.all()] == [3]
    assert [row.pushes for row in ServiceHour.objects.all()] == [3]
    assert sorted(Hour.objects.filter(grain=1).values_list("customer_id", "pushes")) == [(own.pk, 2), (own.pk + 1, 3)]


def test_a_rebuild_counts_the_same_and_the_check_finds_no_difference(own: Customer) -> None:
    pushes.write("0123456789ab-1", 5, pushes.SENT, customer=own.pk, count=2)
    pushes.write("0123456789ab-2", 5, pushes.SENT, customer=own.pk + 1, count=3)
    rebuild(HOUR, HOUR + timedelta(hours=1))
    assert [row.pushes for row in ServiceMinute.objects.all()] == [3]
    assert list(checking.differences(HOUR)) == []
    # What was never added to the sums is not taken out of them.
    erasing.erase(own.pk)
    assert list(checking.differences(HOUR)) == []


def test_it_is_none_of_the_many_customers_that_a_rate_is_told_of(own: Customer) -> None:
    def told() -> bool:
        return not providers._recognisable(recent.count() - timedelta(hours=1), recent.count())["apns"]

    for number in range(4):
        recent.push(own.pk + 1 + number)
    recent.push(own.pk)
    assert not told()
    recent.push(own.pk + 9)
    assert told()


def test_it_is_on_no_board_of_customers(own: Customer) -> None:
    cache.clear()
    recent.push(own.pk, 5)
    recent.push(tenant("Acme").customer.pk, 5)
    recent.count()
    assert own.pk not in {each.customer for each in customers.health()}
    late = recent.count() + timedelta(days=2)
    assert own.pk not in {each.customer.pk for each in customers.silent(timedelta(hours=1), late)}
    assert customers.silent(timedelta(hours=1), late)


def test_a_page_of_a_customer_cannot_make_itself_the_canary(own: Customer) -> None:
    acme = tenant("Acme").customer
    Customer.objects.filter(pk=own.pk).update(canary=False)
    with (
        acting_as(PAGES),
        scope.customer(acme),
        pytest.raises(ProgrammingError, match="row-level security"),
        transaction.atomic(),
    ):
        Customer.objects.filter(pk=acme.pk).update(canary=True)


def test_the_directory_names_it_to_every_process(own: Customer) -> None:
    found = reading.read(1)
    assert found.canaries == [own.pk]
    # A process of the version before, or a copy that it left, knows of none.
    assert snapshot.decode(snapshot.encode(found)).canaries == [own.pk]


async def test_the_ends_of_its_pushes_are_in_no_metric_of_pushes(valkey_url: str) -> None:
    link = valkey.Link(valkey_url)
    await link.start()
    settler = Settler(link, asyncio.get_running_loop(), b"k" * 32)
    DIRECTORY.canaries = frozenset((7,))
    counting.collect()
    counting.reset()
    try:
        items = [batch.Item(f"trace-{n}", 1.0, n, 1, 1, 100, Push(platform="apple_rn-v2")) for n in (7, 8)]
        work = BatchProgress("abcdef:7", items, asyncio.get_running_loop().create_future())
        work.open.clear()
        work.ended += [(index, judge.refusal("expired"), "") for index in (0, 1)]
        settler.settle(work)
        turned = TurnedAwayPushes(link, b"k" * 32)
        for customer in (7, 8):
            who = Identity(1, 1, customer, active=True, rejection_code="", digest=b"")
            turned.turn_away(
                PendingPush(who, Push(), "trace", 1.0, 10, asyncio.get_running_loop().create_future()), "no_app"
            )
        counts = dict(counting.collect().counters)
    finally:
        DIRECTORY.canaries = frozenset()
        counting.reset()
        link.close()
    assert sum(count for (name, _), count in counts.items() if name == "hpns_ended_total") == 2
