"""Names and records of pushes; the log itself: tests/delivery/ingest/test_seen_log.py."""

import pytest
import redis

from delivery.outcomes import judge
from delivery.protocol.wire import Push
from delivery.queue import batch, seen

KEY = b"k" * 32


def test_a_test_and_a_push_without_an_ack_id_have_no_name() -> None:
    for push in (Push(device_id="d", ack_id="a", type="test"), Push(device_id="d", type="message")):
        assert seen.digest(1, 2, push, KEY) is seen.NONE


@pytest.mark.parametrize(
    ("code", "wanted"), [("no_app", seen.FAILED), ("queue_down", seen.FAILED), ("internal_error", seen.FAILED)]
)
def test_refusals_of_ours_may_be_tried_anew(code: str, wanted: int) -> None:
    assert seen.state_of(judge.refusal(code)) == wanted


@pytest.mark.parametrize("indexes", [[0], [7, 8], [0, 3, 199], list(range(20))])
def test_progress_is_as_valkeys_bits_are(store: redis.Redis, indexes: list[int]) -> None:
    for index in indexes:
        store.setbit("done", batch.progress_bit(index), 1)
    assert store.get("done") == seen.progress(indexes)
