"""Who held a push that came late."""

import pytest

from delivery.insight.delays import who_held
from delivery.models import Delivery, Receipt
from tests.delivery.insight.test_timeline import AT, push, receipt

IN_TIME = {"at": 0.01, "status": 200, "ms": 30}


@pytest.mark.parametrize(
    ("row", "receipts", "sentence"),
    [
        (push(IN_TIME, seconds=0.04), [receipt(0.9)], ""),
        (push(IN_TIME, seconds=0.04), [], ""),
        (push(seconds=4.0), [], ""),
        (push({**IN_TIME, "ms": 3000}, seconds=3.01), [], "Apple held it: 3.0 s passed until it answered."),
        (push({**IN_TIME, "at": 2.5}, seconds=2.53), [], "It was held here: 2.5 s passed before it was sent to Apple."),
        (
            push({"at": 0.01, "status": 503, "reason": "Shutdown"}, {**IN_TIME, "at": 4.03}, seconds=4.06),
            [],
            "It had to be tried 2 times: 4.0 s passed between the attempts.",
        ),
        (
            push(IN_TIME, seconds=0.04),
            [receipt(3600)],
            "By its own clock the phone had it at once: only its receipt came late. Apple took it after 40 ms.",
        ),
        (
            push(IN_TIME, seconds=0.04),
            [Receipt(received_at=receipt(3600).received_at)],
            "Apple took it after 40 ms: the rest of the time it was between Apple and the phone, which may have been "
            "off or without a network.",
        ),
    ],
)
def test_a_late_push_names_who_held_it_longest(row: Delivery, receipts: list[Receipt], sentence: str) -> None:
    assert row.accepted_at == AT
    assert who_held(row, receipts) == sentence
