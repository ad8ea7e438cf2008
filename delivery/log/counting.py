"""Counts of rows of the delivery log, out of their lines for COPY: what they add to the rollups.

Invariant: the same as what rollups/rebuilding.py counts out of the table once they stand there. It runs for each push,
so nothing here is made anew for each line but its fields, a key and a latency.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Final

from delivery.log.rows import COLUMNS
from delivery.rollups import cells
from delivery.rollups.buckets import bucket_of
from delivery.rollups.increments import Cell, Increments

_COLUMN: Final = {name: place for place, name in enumerate(COLUMNS)}
_DIMENSIONS: Final = itemgetter(
    *(_COLUMN[name] for name in ("customer_id", "server_id", "app_id", "platform", "type")),
    *(_COLUMN[name] for name in ("outcome", "code", "attribution", "counts")),
)
_ACCEPTED, _ENDED, _COUNT = _COLUMN["accepted_at"], _COLUMN["ended_at"], _COLUMN["count"]
# Where a moment's parts stand, as rows.moment() writes it: 2026-09-21 14:13:20.123+00
_LENGTH, _MINUTE, _SECONDS, _MILLISECONDS = 26, 16, slice(17, 19), slice(20, 23)
_NULL: Final = b"\\N"


class UncountableError(ValueError):
    """A line is none of those that rows.row() makes; it must not come into the log, where nobody would count it."""


def count(blob: bytes) -> Increments:
    """What these lines add to the rollups. Raises UncountableError."""
    try:
        return _increments(_sums(blob))
    except (ValueError, IndexError) as error:
        raise UncountableError("a row of the delivery log cannot be counted") from error


# The minute as text, the bucket of the latency, and the texts of what else a cell is made of.
_Key = tuple[bytes, int, tuple[bytes, ...]]


def _sums(blob: bytes) -> dict[_Key, int]:
    sums: dict[_Key, int] = {}
    for line in blob.split(b"\n"):
        if not line:
            continue
        fields = line.split(b"\t")
        accepted, ended = fields[_ACCEPTED], fields[_ENDED]
        minute = accepted[:_MINUTE]
        took = _within_minute(ended) - _within_minute(accepted)
        if minute != ended[:_MINUTE]:
            took += _minutes(ended[:_MINUTE]) - _minutes(minute)
        key = (minute, bucket_of(took), _DIMENSIONS(fields))
        sums[key] = sums.get(key, 0) + int(fields[_COUNT])
    return sums


# As rows.moment() does: few milliseconds are read over and over.
@lru_cache(maxsize=1024)
def _within_minute(moment: bytes) -> int:
    """Milliseconds since the minute began."""
    if len(moment) != _LENGTH or not moment.endswith(b"+00"):
        raise UncountableError("a moment is written otherwise")
    return int(moment[_SECONDS]) * 1000 + int(moment[_MILLISECONDS])


@lru_cache(maxsize=64)
def _minute(text: bytes) -> datetime:
    return datetime.strptime(text.decode(), "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


@lru_cache(maxsize=64)
def _minutes(text: bytes) -> int:
    """Milliseconds since the epoch."""
    return int(_minute(text).timestamp()) * 1000


def _increments(sums: dict[_Key, int]) -> Increments:
    made = Increments()
    for (minute, bucket, dimensions), pushes in sums.items():
        made.push(_cell(minute, dimensions), pushes, bucket)
    return made


def _cell(minute: bytes, dimensions: Iterable[bytes]) -> Cell:
    customer, server, app, platform, push_type, *what = dimensions
    if any(b"\\" in text for text in what):
        raise UncountableError("what became of a push is no word of ours")
    outcome, code, attribution, counts = (text.decode() for text in what)
    return Cell(
        _minute(minute),
        int(customer),
        int(server),
        0 if app == _NULL else int(app),
        cells.family(platform.decode()),
        cells.kind(push_type.decode()),
        outcome,
        code,
        attribution,
        counts == "t",
    )
