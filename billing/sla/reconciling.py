"""Reconciliation: what became of pushes that a customer names by ack_id, and how the SLA counts each of them.

It shows that no failure was left out of the ledger: whoever holds the own server's log against it finds every push.
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from billing.sla import keeping
from billing.sla.judging import MINUTE
from delivery.selectors import sla as selectors
from tenants.models import Customer

MOST: Final = 10_000
"""Ids of one request."""
LONGEST: Final = 64
_NAMES: Final = ("ackId", "ack_id", "ackID", "AckId")
_IN_TEXT: Final = re.compile(r"""["']?ack_?id["']?\s*[:=]\s*["']?([A-Za-z0-9_-]{1,64})""", re.IGNORECASE)
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PARTS: Final = re.compile(r"[\s,;]+")
_CHUNK: Final = 1_000
_DEPTH: Final = 4


class Named(NamedTuple):
    """The ack_ids of a text in their order, each once; how many lines named none, and whether there were too many."""

    ack_ids: list[str]
    unclear: int
    too_many: bool


class Reconciled(NamedTuple):
    """A push by its ack_id. `minute` and what follows are empty where it is not known; `counted`: in words."""

    ack_id: str
    known: bool
    minute: datetime | None
    outcome: str
    code: str
    counted: str
    verdict: str  # of its minute in the ledger, "" while it is not judged
    trace: str


def named(text: str) -> Named:
    """The ack_ids in lines of a server's log (JSON with ackId, or text), or in a plain list."""
    found: dict[str, None] = {}
    unclear = 0
    for line in text.splitlines():
        if not line.strip():
            continue
        ids = [*_of_line(line.strip())]
        unclear += not ids
        found.update(dict.fromkeys(ids))
        if len(found) > MOST:
            return Named([*found][:MOST], unclear, too_many=True)
    return Named([*found], unclear, too_many=False)


def reconcile(customer: Customer, ack_ids: list[str]) -> Iterator[Reconciled]:
    """What became of each, in their order; an ack_id that several pushes carried has a line for each of them."""
    for start in range(0, len(ack_ids), _CHUNK):
        chunk = ack_ids[start : start + _CHUNK]
        pushes: dict[str, list[selectors.Found]] = {}
        for push in selectors.by_ack_ids(customer.pk, chunk):
            pushes.setdefault(push.ack_id, []).append(push)
        verdicts = _verdicts(customer, [push for found in pushes.values() for push in found])
        for ack_id in chunk:
            if ack_id not in pushes:
                yield Reconciled(ack_id, False, None, "", "", "not known", "", "")
            for push in pushes.get(ack_id, ()):
                minute = _minute(push)
                verdict = verdicts.get(minute, "")
                yield Reconciled(ack_id, True, minute, push.outcome, push.code, _counted(push), verdict, push.trace)


def _of_line(line: str) -> Iterator[str]:
    if line.startswith("{"):
        try:
            yield from _of_json(json.loads(line), _DEPTH)
        except (ValueError, RecursionError):
            yield from _IN_TEXT.findall(line)
        return
    if in_text := _IN_TEXT.findall(line):
        yield from in_text
    else:
        parts = [part.strip("\"'") for part in _PARTS.split(line) if part]
        if all(_ID.fullmatch(part) for part in parts):
            yield from parts


def _of_json(value: Any, depth: int) -> Iterator[str]:
    if not isinstance(value, Mapping) or depth == 0:
        return
    for name, inner in value.items():
        if name in _NAMES and isinstance(inner, str) and 0 < len(inner) <= LONGEST and "\0" not in inner:
            yield inner
        else:
            yield from _of_json(inner, depth - 1)


def _minute(push: selectors.Found) -> datetime:
    return push.accepted_at.astimezone(UTC).replace(second=0, microsecond=0)


def _verdicts(customer: Customer, pushes: list[selectors.Found]) -> dict[datetime, str]:
    """The verdicts of the minutes of these pushes."""
    minutes = {_minute(push) for push in pushes}
    if not minutes:
        return {}
    rows = keeping.rows_of(customer.pk, min(minutes), max(minutes) + MINUTE)
    return {row.minute: row.verdict for row in rows if row.minute in minutes}


def _counted(push: selectors.Found) -> str:
    if not push.counts:
        return "not counted: no valid event"
    if push.failed_ours:
        return "failed by us"
    return "valid" if push.outcome in selectors.HANDED_OFF else f"valid, failed by the {push.attribution}"
