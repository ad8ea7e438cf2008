"""The places of a process: its memory, counted in bytes."""

from types import SimpleNamespace

import pytest

from delivery.queue import batch
from delivery.worker import places
from delivery.worker.places import MOST, Places, cost
from hpns.celery import RECORD
from hpns.celery.transport import Channel


def test_a_thousand_pushes_a_second_may_wait_for_a_silent_provider() -> None:
    """In batches of one push, as they are where little is pushed otherwise; for the whole deadline of a push."""
    held = Places()
    for _ in range(4_000):
        assert held.has_room()
        held.take(cost(1, 1_300))
    assert held.held < MOST


def test_large_pushes_take_up_more_and_what_has_ended_makes_room() -> None:
    held = Places(cost(100, 0) + 1)
    held.take(cost(1, 200_000))
    assert not held.has_room()
    held.give_back(cost(1, 200_000))
    assert (held.held, held.has_room(), held.has_room(held._most)) == (0, True, False)


def test_a_worker_without_room_for_pushes_takes_what_else_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    channel = SimpleNamespace(qos=SimpleNamespace(can_consume=lambda: True))
    takes = lambda: [Channel._can_take(channel, queue) for queue in (batch.QUEUE, RECORD)]  # type: ignore[arg-type]  # noqa: E731
    assert takes() == [True, True]
    monkeypatch.setattr(places.WORKER, "held", MOST)
    assert takes() == [False, True]
