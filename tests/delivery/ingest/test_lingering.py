"""A batch waits for company where company comes: else its servers wait for nothing, and the process wakes once more."""

import pytest

from delivery.ingest.outbox import LINGER_FROM, TRIAL_EVERY, Outbox
from tests.delivery.ingest.test_outbox import outbox, submit

__all__ = ["outbox"]

MANY = 200


@pytest.fixture
async def busy(outbox: Outbox) -> Outbox:
    """An outbox in which so many pushes wait for their answers that batches may linger."""
    outbox.responses.deadline = 60
    for _ in range(LINGER_FROM):
        submit(outbox)
        outbox._flush()
    return outbox


def lingers(outbox: Outbox, company: int) -> bool:
    """Whether the next batch lingers, for which so many more pushes come in that time."""
    submit(outbox)
    does = outbox._timer is not None
    for _ in range(company if does else 0):
        submit(outbox)
    outbox._flush()
    return does


async def test_batches_linger_as_long_as_others_come_meanwhile(busy: Outbox) -> None:
    assert all(lingers(busy, company=3) for _ in range(MANY))


async def test_where_nobody_comes_batches_linger_no_more_but_for_one_now_and_then(busy: Outbox) -> None:
    assert lingers(busy, company=0), "it is found out by trying"
    found = [lingers(busy, company=0) for _ in range(MANY)]
    assert 1 <= sum(found[MANY // 2 :]) <= MANY / 2 / TRIAL_EVERY + 1


async def test_batches_linger_again_once_others_come_again(busy: Outbox) -> None:
    for _ in range(MANY):
        lingers(busy, company=0)
    again = [lingers(busy, company=3) for _ in range(4 * TRIAL_EVERY)]
    assert all(again[-TRIAL_EVERY:])


async def test_a_push_lingers_in_no_case_while_few_wait(outbox: Outbox) -> None:
    outbox.responses.deadline = 60
    assert not lingers(outbox, company=3)
