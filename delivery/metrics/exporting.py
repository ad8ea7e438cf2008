"""Export of the metrics of a process to its file in settings.METRICS_DIR (files.py): once a second, and seldom while
nothing is counted. Without METRICS_DIR they are only collected, for this process's own page.
"""

import asyncio
import logging
import math
import time
from pathlib import Path
from typing import Final

from django.conf import settings

from delivery.executors import BoundedExecutor, ExecutorFullError
from delivery.metrics.counting import has_news, reset, snapshot
from delivery.metrics.files import ProcessFile, encode
from tenants.ticks import tick

logger = logging.getLogger(__name__)

_exporting = False
# In a thread of its own: a disk that stands still must not hold up the pushes, nor what has threads itself.
_FILE: Final = BoundedExecutor("the file of metrics", threads=1, queued=0)
# Seconds for it to be written; from then on the next ones are left out until it is.
_FILE_TIMEOUT: Final = 10.0
# Seconds after which it is written though nothing was counted: well below STALE_AFTER, when its gauges would be void.
QUIET_INTERVAL: Final = 5.0


async def export(role: str = "worker") -> None:
    """Write the metrics once a second, less often while nothing is counted, to the file of this process in
    settings.METRICS_DIR; until cancelled.

    Without METRICS_DIR they are only collected, for this process's own page. A second call in one process does nothing.
    """
    global _exporting  # noqa: PLW0603  one per process
    if _exporting:
        return
    _exporting = True
    file = ProcessFile(Path(settings.METRICS_DIR)) if settings.METRICS_DIR else None
    last_error = ""
    written_at = -math.inf
    try:
        while True:
            await tick(1)
            if not has_news() and time.monotonic() - written_at < QUIET_INTERVAL:
                continue
            counts = snapshot(role)
            if file is None:
                written_at = time.monotonic()
                continue
            try:
                async with asyncio.timeout(_FILE_TIMEOUT):
                    if not await _FILE.run(file.write, encode(counts)):
                        reset()
                last_error, written_at = "", time.monotonic()
            except BlockingIOError:
                pass  # another process aggregates just now; there is more in a second
            except (OSError, ExecutorFullError) as error:
                reason = str(error) or type(error).__name__
                if not last_error:
                    logger.error("the metrics cannot be written to METRICS_DIR: %s", reason)
                last_error = reason
    finally:
        _exporting = False
        if file is not None:
            _write_last(file, role)


def _write_last(file: ProcessFile, role: str) -> None:
    """Write what was counted in this process's last second, without the gauges."""
    counts = snapshot(role)
    counts.gauges.clear()
    try:
        file.write(encode(counts))
    except OSError as error:
        logger.warning("the last second's metrics could not be written: %s", error)
