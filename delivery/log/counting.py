"""Counts of rows of the delivery log, out of their lines for COPY: what they add to the rollups.

Invariant: the same as what rollups/rebuilding.py counts out of the table once they stand there. It runs for each push,
so of a line only its moments are read, at their fixed places; what it is counted under is its end (rows.CELL), which
is taken apart once for all lines that share it.
"""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from delivery.log.rows import CELL
from delivery.rollups import cells
from delivery.rollups.buckets import bucket_of
from delivery.rollups.increments import Cell, Increments

# Where a moment's parts stand, as rows.moment() writes it: 2026-09-21 14:13:20.123+00
_LENGTH, _MINUTE = 26, 16
_SECONDS, _MILLISECONDS = slice(1, 3), slice(4, 7)
# Of a line: the minute of its acceptance and what follows, and the same of its end.
_ACCEPTED, _ENDED = slice(_MINUTE, _LENGTH + 1), slice(_LENGTH + 1 + _MINUTE, 2 * _LENGTH + 2)
_ENDED_MINUTE: Final = slice(_LENGTH + 1, _LENGTH + 1 + _MINUTE)
_BEFORE_CELL: Final = b"]\t"
_NULL: Final = b"\\N"


class UncountableError(ValueError):
    """A line is none of those that rows.row() makes; it must not come into the log, where nobody would count it."""


def count(blob: bytes) -> Increments:
    """What these lines add to the rollups. Raises UncountableError."""
    try:
        return _increments(_sums(blob))
    except (ValueError, IndexError) as error:
        raise UncountableError("a row of the delivery log cannot be counted") from error


# The minute as text, the bucket of the latency, and the end of the line. It says how many lines have these.
_Key = tuple[bytes, int, bytes]


def _sums(blob: bytes) -> dict[_Key, int]:
    sums: dict[_Key, int] = {}
    get = sums.get
    for line in blob.split(b"\n"):
        if not line:
            continue
        minute, ended_minute = line[:_MINUTE], line[_ENDED_MINUTE]
        took = _within_minute(line[_ENDED]) - _within_minute(line[_ACCEPTED])
        if minute != ended_minute:
            took += _minutes(ended_minute) - _minutes(minute)
        key = (minute, bucket_of(took), line.rpartition(_BEFORE_CELL)[2])
        sums[key] = get(key, 0) + 1
    return sums


# As rows.moment() does: few milliseconds are read over and over.
@lru_cache(maxsize=1024)
def _within_minute(rest: bytes) -> int:
    """Milliseconds since the minute began, of what follows it in a line: ":20.123+00<TAB>"."""
    if not (rest.startswith(b":") and rest[3:4] == b"." and rest.endswith(b"+00\t")):
        raise UncountableError("a moment is written otherwise")
    return int(rest[_SECONDS]) * 1000 + int(rest[_MILLISECONDS])


@lru_cache(maxsize=64)
def _minute(text: bytes) -> datetime:
    return datetime.strptime(text.decode(), "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


@lru_cache(maxsize=64)
def _minutes(text: bytes) -> int:
    """Milliseconds since the epoch."""
    return int(_minute(text).timestamp()) * 1000


def _increments(sums: dict[_Key, int]) -> Increments:
    made = Increments()
    for (minute, bucket, end), lines in sums.items():
        cell, count = _cell(minute, end)
        made.push(cell, lines * count, bucket)
    return made


@lru_cache(maxsize=1024)
def _cell(minute: bytes, end: bytes) -> tuple[Cell, int]:
    """What the pushes of such lines are counted under, and how many one line stands for."""
    fields = end.split(b"\t")
    if len(fields) != len(CELL):
        raise UncountableError("a line has other columns")
    of = dict(zip(CELL, fields, strict=True))
    what = [of[name] for name in ("outcome", "code", "attribution")]
    if any(b"\\" in text for text in what):
        raise UncountableError("what became of a push is no word of ours")
    outcome, code, attribution = (text.decode() for text in what)
    app = of["app_id"]
    cell = Cell(
        _minute(minute),
        int(of["customer_id"]),
        int(of["server_id"]),
        0 if app == _NULL else int(app),
        cells.family(of["platform"].decode()),
        cells.kind(of["type"].decode()),
        outcome,
        code,
        attribution,
        of["counts"] == b"t",
    )
    return cell, int(of["count"])
