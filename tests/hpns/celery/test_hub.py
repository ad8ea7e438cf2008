"""The hub of a worker: its turns are long while nothing happens, and a signal to stop ends one at once."""

import os
import signal
import threading
import time

import pytest
from celery.signals import worker_shutting_down
from kombu.asynchronous import get_event_loop, set_event_loop

from hpns.celery import hub
from tests.waiting import PATIENCE


def test_a_signal_to_stop_ends_the_turn_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "TURN_SECONDS", PATIENCE * 2)
    before, receivers = get_event_loop(), list(worker_shutting_down.receivers)
    made = hub.install()
    try:
        # As Celery's own handler of SIGTERM does it.
        earlier = signal.signal(signal.SIGUSR2, lambda *_: worker_shutting_down.send(sender=None, sig="SIGTERM"))
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR2))
        timer.start()
        began = time.monotonic()
        made.turn()
        assert time.monotonic() - began < PATIENCE
        signal.signal(signal.SIGUSR2, earlier)
        timer.join()
    finally:
        worker_shutting_down.receivers = receivers
        set_event_loop(before)
        made.aio.close()
