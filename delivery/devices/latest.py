"""What the log says of a device already, and its tables will in a minute or two: laid over what is read from them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from delivery.models import Delivery, Device
from delivery.outcomes.verdict import Outcome
from delivery.rollups.cells import family

# The type of pushes that say that a session has ended.
SESSION: Final = "session"


def with_latest(rows: Sequence[Device], pushes: Sequence[Delivery], acked: Mapping[str, datetime]) -> list[Device]:
    """The rows of one device with what its latest pushes say besides, the last pushed to first.

    pushes: rows of the log in any order, those that the tables know among them; acked: of which of them a receipt came,
    by trace. Nothing is written.
    """
    found = {(row.server_id, row.app_id, row.family): row for row in rows}
    for push in pushes:
        key = push.server_id, push.app_id or 0, family(push.platform)
        row = found.get(key)
        if row is None:
            row = found[key] = _new(push, *key)
        _add(row, push)
        if push.trace in acked:
            row.acked_at = _later(row.acked_at, push.accepted_at)
    return sorted(found.values(), key=lambda row: row.last_at, reverse=True)


def _new(push: Delivery, server_id: int, app_id: int, family_of_it: str) -> Device:
    return Device(
        customer_id=push.customer_id,
        device=push.device,
        server_id=server_id,
        app_id=app_id,
        family=family_of_it,
        first_at=push.accepted_at,
        last_at=push.accepted_at,
        removed_code="",
        failed_code="",
    )


def _add(row: Device, push: Delivery) -> None:
    at = push.accepted_at
    row.first_at, row.last_at = min(row.first_at, at), max(row.last_at, at)
    if push.type == SESSION:
        row.session_at = _later(row.session_at, at)
    if push.outcome == Outcome.SENT.value:
        row.sent_at = _later(row.sent_at, at)
    elif push.outcome == Outcome.GONE.value:
        if row.removed_at is None or row.removed_at < at:
            row.removed_at, row.removed_code = at, push.code
    elif row.failed_at is None or row.failed_at < at:
        row.failed_at, row.failed_code = at, push.code


def _later(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else max(one, other)
