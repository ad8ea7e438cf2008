"""The receipts of pushes that are known, by the pushes' own times: in the scope in force (tenants/scope.py).

A receipt's ack id may lie anywhere in the index of each day since its push; what came late stands at the beginning of
the index by the pushes' times, all together. Only a receipt whose push is not found yet is looked for by its ack id.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from django.utils import timezone

from delivery.log.unmatched import AGE_MOST
from delivery.models import Delivery, Receipt

# By how much a receipt may seem to be older than its push: both times are ours, of different machines.
CLOCKS: Final = timedelta(days=1)
# How long after its acceptance a push in the log may have a receipt that was not joined with it: mostly seconds.
JOINING: Final = timedelta(hours=1)


def receipts(pushes: Iterable[Delivery]) -> dict[str, list[Receipt]]:
    """The receipts of these pushes, by trace, the first first."""
    wanted = {push.trace: push for push in pushes if push.ack_id}
    found: dict[str, list[Receipt]] = {}
    if wanted:
        times = {push.accepted_at for push in wanted.values()}
        joined = Receipt.by_id.filter(push_at__in=times, received_at__gte=min(times) - CLOCKS).order_by()
        for receipt in joined:
            if receipt.trace in wanted:
                found.setdefault(receipt.trace, []).append(receipt)
        since = timezone.now() - JOINING
        _add_unjoined(found, [push for push in wanted.values() if push.accepted_at >= since])
    return {trace: sorted(each, key=_when) for trace, each in found.items()}


def receipts_of(push: Delivery) -> list[Receipt]:
    """All receipts of one push, the first first; also of one that failed, with which none is ever joined."""
    found = receipts([push])
    if push.ack_id and push.accepted_at < timezone.now() - JOINING:
        _add_unjoined(found, [push])
    return sorted(found.get(push.trace, []), key=_when)


def _add_unjoined(found: dict[str, list[Receipt]], pushes: list[Delivery]) -> None:
    by_ack: dict[str, list[Delivery]] = {}
    for push in pushes:
        by_ack.setdefault(push.ack_id, []).append(push)
    if not by_ack:
        return
    times = [push.accepted_at for push in pushes]
    rows = Receipt.by_id.filter(push_at=None, ack_id__in=list(by_ack), received_at__gte=min(times) - CLOCKS)
    for receipt in rows.filter(received_at__lt=max(times) + AGE_MOST).order_by():
        for push in by_ack[receipt.ack_id]:
            if receipt.server_id == push.server_id:
                found.setdefault(push.trace, []).append(receipt)


def _when(receipt: Receipt) -> tuple[object, str]:
    return receipt.received_at, receipt.id
