"""How results and deadlines end the pushes that wait: each is answered once, and no fault of one harms another."""

import pytest
import redis

from delivery.ingest.outbox import Outbox
from tests.delivery.ingest.test_publishing import publish, settle
from tests.delivery.web_process import error_of


@pytest.fixture
def outbox(outbox: Outbox) -> Outbox:
    """An outbox with all the time in the world."""
    outbox.responses.deadline = 60
    return outbox


async def test_a_result_that_comes_twice_counts_once(outbox: Outbox, store: redis.Redis) -> None:
    answers = await publish(outbox, 2)
    await settle(outbox, store, 1, 0)
    await settle(outbox, store, 1, 0)
    assert [answer.done() for answer in answers] == [True, False]
    assert outbox.responses.waiting == 1
    await settle(outbox, store, 1, 1)
    assert await error_of(answers[1]) == ""


async def test_a_result_of_a_push_that_does_not_exist_harms_no_other(outbox: Outbox, store: redis.Redis) -> None:
    (answer,) = await publish(outbox)
    await settle(outbox, store, 1, 7)
    await settle(outbox, store, 1, 0)
    assert await error_of(answer) == ""


async def test_whoever_asks_no_more_is_counted_as_waiting_no_longer(outbox: Outbox, store: redis.Redis) -> None:
    given_up, other = await publish(outbox, 2)
    given_up.cancel()
    await settle(outbox, store, 1, 0, 1)
    assert await error_of(other) == ""
    assert outbox.responses.waiting == 0
    assert {bucket.in_flight for bucket in outbox.limits._buckets.values()} == {0}
