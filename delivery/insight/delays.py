"""Who held a push that came late: this service, the provider, or what lies between the provider and the phone. Pure.

who_held(row, receipts)      # "Apple held it: 3.0 s passed until it answered."
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from delivery.insight import timeline
from delivery.insight.durations import lasting
from delivery.models import Delivery, Receipt

# Milliseconds from which on somebody notices.
LATE: Final = 1_000


def who_held(row: Delivery, receipts: Sequence[Receipt]) -> str:
    """Where most of a late push's time has gone, as a sentence; "" where it was in time, or was never sent."""
    receipt = timeline.receipt_of(row, receipts)
    here, provider, again = _parts(row)
    after = 0.0 if receipt is None else _milliseconds(row.ended_at, receipt.received_at)
    longest = max(here, provider, again, after)
    if longest < LATE or not row.attempts:
        return ""
    name = timeline.provider(row)
    if longest == after and receipt is not None:
        return _behind(row, receipt, name)
    if longest == here:
        return f"It was held here: {lasting(here)} passed before it was sent to {name}."
    if longest == provider:
        return f"{name} held it: {lasting(provider)} passed until it answered."
    return f"It had to be tried {len(row.attempts)} times: {lasting(again)} passed between the attempts."


def _parts(row: Delivery) -> tuple[float, float, float]:
    """Milliseconds that a push waited here to be sent, that its provider took, and between attempts."""
    attempts: list[dict[str, Any]] = row.attempts
    if not attempts:
        return 0.0, 0.0, 0.0
    first, last = attempts[0]["at"] * 1000, attempts[-1]
    provider = float(sum(each["ms"] for each in attempts))
    span = last["at"] * 1000 + last["ms"] - first
    return max(0.0, first - row.accepted_at.timestamp() * 1000), provider, max(0.0, span - provider)


def _behind(row: Delivery, receipt: Receipt, name: str) -> str:
    """What is known of the time after the hand-off."""
    taken = lasting(max(0.0, _milliseconds(row.accepted_at, row.ended_at)))
    if receipt.phone_at is not None and abs(_milliseconds(row.ended_at, receipt.phone_at)) < LATE:
        return f"By its own clock the phone had it at once: only its receipt came late. {name} took it after {taken}."
    return (
        f"{name} took it after {taken}: the rest of the time it was between {name} and the phone, which may"
        " have been off or without a network."
    )


def _milliseconds(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds() * 1000
