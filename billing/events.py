"""Events that standings follow from: what a customer has proven, owes or has paid is changed within `changes`.

Invariant: what follows is in force with the change itself, in its transaction and in the scope in force; and a fault of
judging refuses no payment and no licence: it is logged, and the timetable judges again within the hour.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from django.db import transaction

from billing import locks
from tenants.models import Customer

log = logging.getLogger(__name__)

Judge = Callable[[Customer, datetime], object]
_wired: Final[list[Judge]] = []


def wire(judge: Judge) -> None:
    """Say what is done at an event, at the start of a process (billing/wiring.py); the last word counts."""
    _wired[:] = [judge]


@contextmanager
def changes(customer_id: int, now: datetime) -> Iterator[None]:
    """A transaction that changes facts about a customer; at its end the customer is judged by them.

    The entitlement is locked first, as in every transaction that judges (billing/locks.py). A customer that was erased,
    whose invoices are still paid and corrected, is not judged.
    """
    with transaction.atomic():
        there = locks.entitlement(customer_id)
        yield
        if there is not None and _wired:
            _judge(_wired[-1], customer_id, now)


def _judge(judge: Judge, customer_id: int, now: datetime) -> None:
    try:
        with transaction.atomic():
            judge(Customer.objects.get(pk=customer_id), now)
    except Exception:  # whatever it is: what was paid is paid, and what was proven is proven
        log.exception("the customer %d could not be judged after an event", customer_id)
