"""A push that its provider took only at a later try is an event of the SLA where we had a part in that."""

import asyncio
import time

import pytest

from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import ANSWERED, NOT_SENT, Attempt
from delivery.providers import table
from delivery.worker.attempts import _of_late
from tests.delivery.worker.test_due_delivery import Worker, worker

__all__ = ["worker"]

TAKEN = Attempt("apns", "h", 200, "", ANSWERED, time.time(), 5)
BUSY = Attempt("apns", "h", 503, "ServiceUnavailable", ANSWERED, time.time(), 5)
NAMELESS = Attempt("apns", "h", 0, TransportFault.DNS, NOT_SENT, time.time(), 5)


@pytest.mark.parametrize("behaviour", ["busy_1_60", "dying_1"])
async def test_what_its_provider_took_later_than_it_should_is_no_event_of_the_sla(
    worker: Worker, behaviour: str
) -> None:
    await asyncio.wait_for(worker.begin(behaviour).finished, 10)
    worker.age(f"trace-{behaviour}", 90)
    await worker.deliver()
    assert [(row["outcome"] in ("sent", "gone"), row["counts"]) for row in worker.rows()] == [(True, "f")]


@pytest.mark.parametrize(("before", "counts"), [((BUSY,), False), ((NAMELESS,), True), ((BUSY, NAMELESS), True)])
def test_it_is_one_where_an_attempt_had_failed_by_our_doing(before: tuple[Attempt, ...], counts: bool) -> None:
    assert _of_late((*before, TAKEN), table.judge(TAKEN)).counts_in_sla is counts
