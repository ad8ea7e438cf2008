"""What is known above of incidents and maintenance, for charts and boards: whoever knows registers how it is read.

Billing keeps them and delivery may not import it, so hpns connects both when Django is ready (hpns/apps.py). What is
read may be asked for in any scope; nothing of it is a customer's.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from delivery.insight.charts import Band

Spans = Callable[[datetime, datetime], Iterable[tuple[datetime, datetime | None, str]]]
Line = Callable[[datetime], str]
_spans: Final[list[Spans]] = []
_lines: Final[list[Line]] = []


def register(spans: Spans, line: Line) -> None:
    """spans: incidents and maintenance from a moment to before another, as start, end (None: it lasts) and words; line:
    what staff should know as of a moment, "" for nothing."""
    _spans[:], _lines[:] = [spans], [line]


def bands(start: datetime, end: datetime) -> list[Band]:
    """What goes into charts of this time."""
    return [Band(max(begins, start), ends, words) for read in _spans for begins, ends, words in read(start, end)]


def line(now: datetime) -> str:
    """What staff should know, as sentences; "" for nothing."""
    return " ".join(text for read in _lines if (text := read(now)))
