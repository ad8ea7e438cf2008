"""Answers of providers that no table of ours knows, as a work list for the staff: each wants a row of its own.

In the scope of everything. What is grouped is the latest rows of each code, found by an index of unknown ones
(migration 0010); how many there are in all say the rollups. Raises django.db.Error.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django.utils import timezone

from delivery.models import Delivery
from delivery.outcomes.verdict import Outcome
from delivery.rollups.reading import HOUR, counted

WEEK: Final = timedelta(days=7)
# The latest rows of a code that are read.
ROWS: Final = 1_000


class Said(NamedTuple):
    """What came back from a provider: the code that we gave it, and the last attempt's host, status and reason."""

    code: str
    host: str
    status: int
    reason: str


@dataclass
class Unknown:
    """An answer that is not known: how often in the rows that were read, from when to when, of how many customers, and
    the trace of the latest push with it."""

    said: Said
    first_at: datetime
    last_at: datetime
    trace: str
    count: int = 0
    customers: set[int] = field(default_factory=set)


class WorkList(NamedTuple):
    """The answers, the most frequent first; and how many pushes each code has in all of the week."""

    answers: list[Unknown]
    totals: dict[str, int]

    @property
    def cut(self) -> list[str]:
        """The codes of which only the latest rows were read."""
        return [code for code, total in self.totals.items() if total > ROWS]


def work_list(now: datetime | None = None) -> WorkList:
    """The unknown answers of the last seven days."""
    now = now or timezone.now()
    rows = counted(now - WEEK, now, by=("code",), unit=HOUR, service=True, outcome=Outcome.UNKNOWN.value)
    totals = {row.of["code"]: row.pushes for row in rows if row.pushes}
    found: list[Unknown] = []
    for code in totals:
        log = Delivery.objects.filter(outcome=Outcome.UNKNOWN.value, code=code, accepted_at__gte=now - WEEK)
        found += _grouped(
            code, log.order_by("-accepted_at").values_list("accepted_at", "trace", "customer_id", "attempts")[:ROWS]
        )
    return WorkList(sorted(found, key=lambda each: each.count, reverse=True), totals)


def _grouped(code: str, rows: Iterable[tuple[datetime, str, int, list[dict[str, Any]]]]) -> list[Unknown]:
    """Group rows, the latest first, by what their last attempt was answered."""
    found: dict[Said, Unknown] = {}
    for at, trace, customer, attempts in rows:
        last = attempts[-1] if attempts else {}
        said = Said(code, str(last.get("host", "")), int(last.get("status") or 0), str(last.get("reason", "")))
        one = found.setdefault(said, Unknown(said, at, at, trace))
        one.first_at = at
        one.count += 1
        one.customers.add(customer)
    return list(found.values())
