"""Rate limit of log lines that strangers can cause at will: the first few of a minute, then how many were left out."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

# Loggers of Django that write a line for a request that it turns away, such as one without a CSRF token.
# https://docs.djangoproject.com/en/5.2/ref/logging/#django-security
OF_STRANGERS: Final = "django.security"
LINES: Final = 5
SECONDS: Final = 60.0


class FloodFilter(logging.Filter):
    """A filter of a handler: takes LINES of each logger below OF_STRANGERS in SECONDS. It knows few loggers, each once.

    The first line of the next minute says in the end how many were left out.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        # By logger: when its minute began, and its lines since.
        self._seen: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written."""
        if not record.name.startswith(OF_STRANGERS):
            return True
        with self._lock:
            began, lines = self._seen.get(record.name, (0.0, 0))
            now, left_out = self._clock(), 0
            if not lines or now - began >= SECONDS:
                left_out, began, lines = lines - LINES, now, 0
            self._seen[record.name] = (began, lines + 1)
        if left_out > 0:
            record.msg, record.args = f"{record.getMessage()} (and {left_out} lines like this were left out)", ()
        return lines < LINES
