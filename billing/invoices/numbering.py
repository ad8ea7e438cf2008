"""Gapless numbers: one counter for each series and year, counted up inside of the transaction that issues.

The row of the counter is locked until that transaction ends, so that a second process waits for it and gets the next
number, and a process that dies leaves none behind: the number is given and kept by one commit.
"""

from datetime import date
from typing import Final, NamedTuple

from django.db import connection

from billing.models import DocumentKind
from tenants.problem import ProblemError

SERIES: Final = {DocumentKind.INVOICE: "INV", DocumentKind.CREDIT_NOTE: "CN", DocumentKind.STATEMENT: "ST"}
_MAKE: Final = (
    "INSERT INTO billing_invoicecounter (series, year, last, last_on) VALUES (%s, %s, 0, %s) ON CONFLICT DO NOTHING"
)
_TAKE: Final = (
    "UPDATE billing_invoicecounter SET last = last + 1, last_on = %s WHERE series = %s AND year = %s "
    # Of the row itself once more: after a wait it is looked at as it has become, other rows as they were.
    "AND last_on <= %s AND NOT EXISTS (SELECT FROM billing_invoicecounter other WHERE other.series = %s "
    "AND other.last_on > %s AND other.last > 0) RETURNING last"
)
_LATEST: Final = "SELECT max(last_on) FROM billing_invoicecounter WHERE series = %s AND last > 0"


class Number(NamedTuple):
    """A number of a series: "INV-2026-00042"."""

    series: str
    year: int
    sequence: int

    def __str__(self) -> str:
        return f"{self.series}-{self.year}-{self.sequence:05d}"


def take(kind: str, on: date) -> Number:
    """The next number of a kind of documents for a day; call it in the transaction that keeps the document.

    Raises ProblemError where a document of a later day was issued: numbers and dates go up together.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("a number is taken in the transaction that keeps it")
    series = SERIES[DocumentKind(kind)]
    with connection.cursor() as cursor:
        cursor.execute(_MAKE, (series, on.year, on))
        cursor.execute(_TAKE, (on, series, on.year, on, series, on))
        found = cursor.fetchone()
        if found is None:
            cursor.execute(_LATEST, (series,))
            (latest,) = cursor.fetchone()
            raise ProblemError(
                f"the clock says {on}, and a document of this kind was issued on {latest}: look after the clock, or "
                "issue it from that day on"
            )
    return Number(series, on.year, int(found[0]))
