"""The timetable after its clock was set back: what is due is sent, also by a beat that was started again since."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import Celery

from hpns.celery import app as service
from hpns.celery.beat_scheduler import BeatScheduler

HOURS = timedelta(hours=2)


class Noting(BeatScheduler):
    """Notes what it would send."""

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        self.sent.append(entry.name)

    sent: list[str]


@pytest.fixture
def timetable(tmp_path: Path) -> Iterator[Noting]:
    """One entry, every second."""
    app = Celery(broker="memory://", set_as_current=False)
    app.conf.update(beat_schedule={"record": {"task": "record", "schedule": 1.0}}, beat_max_loop_interval=1)
    made = Noting(app=app, schedule_filename=str(tmp_path / "beat"))
    made.sent = []
    yield made
    made.close()


def runs(timetable: Noting, *, ran_at: datetime) -> list[str]:
    """What is sent within some iterations, a second and a half after the last run was noted at a time."""
    timetable.schedule["record"].last_run_at = ran_at
    timetable.tick()
    timetable.schedule["record"].last_run_at -= timedelta(seconds=1.5)
    timetable._heap = None
    timetable.tick()
    return timetable.sent


def test_after_the_clock_was_set_back_what_is_due_is_sent(timetable: Noting) -> None:
    assert runs(timetable, ran_at=datetime.now(UTC) + HOURS) == ["record"]


def test_a_small_correction_counts_nothing_anew(timetable: Noting) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=3)
    timetable.schedule["record"].last_run_at = soon
    timetable.tick()
    assert timetable.schedule["record"].last_run_at == soon


def test_the_service_has_this_timetable() -> None:
    assert service.conf.beat_scheduler == "hpns.celery.beat_scheduler:BeatScheduler"
