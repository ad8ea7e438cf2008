"""What the addresses of the delivery's pages take: URL converters."""

import re
from typing import Final

from django.urls import register_converter

TRACE: Final = "[0-9a-f]{12}-[0-9a-f]{1,16}"
"""As delivery/ingest/outbox.py makes one: the web process, and a number within it."""
_TRACE: Final = re.compile(TRACE)


class TraceConverter:
    """A trace id, and nothing else: what stands beside the pages of single pushes is none of them."""

    regex = TRACE

    def to_python(self, value: str) -> str:
        """The trace id."""
        return value

    def to_url(self, value: str) -> str:
        """The trace id. Raises ValueError for one of another form, such as a test's: there is no address for it."""
        if not _TRACE.fullmatch(value):
            raise ValueError(value)
        return value


def register() -> None:
    """Make them known to Django by their names."""
    register_converter(TraceConverter, "trace")
