"""Celery's beat scheduler, which goes on when the clock was set back.

Celery reckons an entry's next run from its last one by the time of day, and keeps that in its file. After a clock that
was two hours ahead was set right, nothing would be sent for two hours: no rows would be written to the log, and no
credential be checked again. Invariant: no entry has run later than now.
"""

import logging
from datetime import timedelta
from typing import Any, Final

from celery.beat import PersistentScheduler

logger = logging.getLogger(__name__)

# By how much a last run may lie in the future: clocks are corrected by fractions of a second all the time.
TOLERANCE: Final = timedelta(seconds=5)


class BeatScheduler(PersistentScheduler):  # type: ignore[misc]
    """As Celery loads it by its name (beat_scheduler)."""

    def tick(self, *arguments: Any, **options: Any) -> float:
        """Run one iteration; returns the seconds until the next one."""
        for entry in self.schedule.values():
            now = entry.default_now()
            if entry.last_run_at - now > TOLERANCE:
                logger.warning("the clock was set back: %s is counted from now on", entry.name)
                entry.last_run_at = now
                self._heap = None
        return float(super().tick(*arguments, **options))
