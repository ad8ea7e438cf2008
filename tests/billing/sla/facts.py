"""Facts that rounds of the SLA are made of in tests: counted pushes, canary, maintenance, prices."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection

from billing.facts import Month
from billing.invoices import profiles
from billing.sla.judging import Window
from billing.sla.sources import Price, Sources
from delivery.rollups.buckets import bucket_of
from delivery.rollups.increments import Cell, Increments
from tenants.models import Customer
from tests.billing.sla.months import at

_GONE = {"outcome": "gone", "code": "apns_unregistered", "attribution": "device"}
_OURS = {"outcome": "failed", "code": "internal_error", "attribution": "ours"}
_PROVIDER = {"outcome": "failed", "code": "apns_shutdown", "attribution": "provider"}
_OWN = {"outcome": "refused", "code": "no_app", "attribution": "customer", "counts": False}
KINDS: Mapping[str, dict[str, Any]] = {
    "sent": {"outcome": "sent", "code": "sent", "attribution": "provider"},
    "gone": _GONE,
    "ours": _OURS,
    "provider": _PROVIDER,
    "own": _OWN,
}


def pushes(customer: Customer, at: datetime, *, took: int = 500, **counts: int) -> None:
    """Count pushes of these KINDS in a minute, each of which took so many milliseconds."""
    counted = Increments()
    for kind, count in counts.items():
        given = {"counts": True, **KINDS[kind]}
        counted.push(Cell(at, customer.pk, 1, 1, "apns", "message", **given), count, bucket_of(took))
    with connection.cursor() as cursor:
        counted.write(cursor)


def sources(
    canary: Mapping[datetime, str] | None = None,
    windows: tuple[Window, ...] = (),
    price: Price | None = None,
    left_out: frozenset[int] = frozenset(),
) -> Sources:
    """Sources that say this; a canary that says nothing of a minute was good."""

    def said(start: datetime, end: datetime) -> dict[datetime, str] | None:
        if canary is None:
            return None
        minutes = int((end - start).total_seconds()) // 60
        known = {start + (end - start) / minutes * number: "good" for number in range(minutes)}
        known.update({minute: word for minute, word in canary.items() if start <= minute < end})
        return {minute: word for minute, word in known.items() if word != "missing"}

    def priced(customer: Customer, month: Month) -> Price | None:
        return price

    return Sources(said, lambda start, end: windows, priced, lambda: set(left_out), profiles.contacts)


BEGIN = at("2026-01-30T08:00")
PRICED = sources(canary={}, price=Price(49_999, "EUR"))
"""The canary is well, and the plan has the SLA."""
