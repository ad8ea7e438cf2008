"""The log's lines on pushes that were refused at the door and that no row of the delivery log can stand for.

Nobody has shown whose they are, so that they can be a stranger's, who shall not fill the log. Invariant: a trace that
a caller is told stands in a line; past the bound of lines no trace is told.
"""

import logging
import time
from typing import Final

logger = logging.getLogger(__name__)

# Lines of one process in a minute.
LINES_MOST: Final = 20
MINUTE: Final = 60.0


class DoorLog:
    """Writes the lines of one web process."""

    def __init__(self) -> None:
        self._until = 0.0
        self._left = 0
        self._left_out = 0

    def note(self, code: str, trace: str, address: str) -> str:
        """Write a line on a push that came from this address ("": not known); returns its trace, "" if none was."""
        now = time.monotonic()
        if now >= self._until:
            if self._left_out:
                logger.warning("%d more pushes of nobody known were refused, without a line each", self._left_out)
            self._until, self._left, self._left_out = now + MINUTE, LINES_MOST, 0
        if not self._left:
            self._left_out += 1
            return ""
        self._left -= 1
        logger.warning("refused a push of nobody known", extra={"trace": trace, "code": code, "address": address})
        return trace
