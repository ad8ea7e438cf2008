"""Reads what a customer owns and writes it as the archive."""

import json
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from textwrap import fill
from typing import Any, Final

from django.conf import settings
from django.utils import timezone

from delivery import selectors
from delivery.models import CustomerCounts, Delivery, Grain
from hpns.departure.export.archive import Member, zipped
from hpns.departure.export.kinds import KINDS, Kind, line
from tenants import fence, scope
from tenants.models import Customer

# Rows that are read at a time: what is in memory.
BATCH_SIZE: Final = 1_000
_WIDTH: Final = 100


def export(customer: Customer) -> Iterator[bytes]:
    """The archive, piece by piece. In a page each piece is read in a scope of its own: a long log must not hold a
    transaction open. Files are of the moment at which they are read; what changes meanwhile may be in one of two.
    """
    at, in_page = timezone.now(), fence.active_scope() is not None
    readme = Member("README.txt", [_readme(customer, at)])
    kinds = (Member(kind.file, _lines(kind, customer.pk, in_page=in_page)) for kind in KINDS)
    return zipped(chain([readme], kinds), at)


def _lines(kind: Kind, customer_id: int, *, in_page: bool) -> Iterator[bytes]:
    last: dict[str, Any] | None = None
    while True:
        if in_page:
            with scope.customer(customer_id):
                rows = _batch(kind, customer_id, last)
        else:
            rows = _batch(kind, customer_id, last)
        if not rows:
            return
        yield b"".join(_json(line(kind, row)) for row in rows)
        last = rows[-1]


def _batch(kind: Kind, customer_id: int, last: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The next rows after `last`."""
    sources = [field.source for field in kind.fields]
    if kind.model is Delivery:
        after = (last["accepted_at"], last["trace"]) if last else None
        return list(selectors.of_customer(customer_id, after=after).values(*sources)[:BATCH_SIZE])
    if issubclass(kind.model, CustomerCounts):
        return _counts(kind.model, customer_id, last, sources)
    rows = kind.model.objects.filter(**{kind.owner: customer_id}).order_by("pk")
    if last:
        rows = rows.filter(pk__gt=last["pk"])
    return list(rows.values("pk", *sources)[:BATCH_SIZE])


def _counts(
    model: type[CustomerCounts], customer_id: int, last: dict[str, Any] | None, sources: list[str]
) -> list[dict[str, Any]]:
    """The next rows of the rollups: they have no key, so they are read by whole minutes or hours."""
    rows = model.objects.filter(customer_id=customer_id, grain=Grain.DETAIL).order_by("at")
    later = rows.filter(at__gt=last["at"]) if last else rows
    found = list(later.values(*sources)[:BATCH_SIZE])
    if len(found) < BATCH_SIZE:
        return found
    whole = [row for row in found if row["at"] < found[-1]["at"]]
    return whole or list(rows.filter(at=found[-1]["at"]).values(*sources))


def _json(members: dict[str, Any]) -> bytes:
    return json.dumps(members, ensure_ascii=False, default=_plain).encode() + b"\n"


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _readme(customer: Customer, at: datetime) -> bytes:
    """README.txt: what each file and each member is, and what is not there."""
    parts = [
        f"What {customer.name} owns in the push notification service, as of {at:%Y-%m-%d %H:%M} UTC.",
        "Each file holds one JSON object a line (JSON Lines, UTF-8). Times are ISO 8601 with their offset; what is not "
        "known or not set is null. The files were read one after the other while the service went on.",
        "Not in here: the keys of your servers and the links of invitations, of which only hashes are kept; the "
        "secrets of your credentials, which are kept sealed, and which you have from Apple and Google; passwords and "
        "second factors, which are your people's own; the texts of pushes and device tokens, which are not "
        f"kept at all. The log of deliveries reaches {settings.RETENTION_DAYS} days back; of what is older only counts "
        "are kept.",
    ]
    text = "\n\n".join(fill(part, _WIDTH) for part in parts) + "\n"
    for kind in KINDS:
        text += f"\n\n{kind.file}\n{'-' * len(kind.file)}\n{fill(kind.description, _WIDTH)}\n\n"
        text += "".join(f"  {field.name:18}{field.description}\n" for field in kind.fields)
    return text.encode()
