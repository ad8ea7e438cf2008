"""Forgets of the ledger what is past its time, by the owner of the tables alone.

The roots stay for ever: they are of all customers together, and an erased customer's head in them says nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Final

from django.db import DEFAULT_DB_ALIAS, connections, transaction

from billing.models import SlaFile, SlaMinute
from billing.sla import judging

KEPT_MONTHS: Final = 25
"""For how many months minutes and files are kept, besides the current one."""


def forget(now: datetime, *, using: str = DEFAULT_DB_ALIAS) -> int:
    """Delete minutes and files that are older than 25 months; heads, roots, months and credits stay. How many rows.

    `using`: a connection of the owner of the tables.
    """
    number = now.year * 12 + now.month - 1 - KEPT_MONTHS
    before = date(number // 12, number % 12 + 1, 1)
    with transaction.atomic(using=using), erasing(using):
        gone = SlaFile.objects.using(using).filter(day__lt=before).delete()[0]
        gone += SlaMinute.objects.using(using).filter(minute__lt=judging.midnight(before)).delete()[0]
    return gone


@contextmanager
def erasing(using: str = DEFAULT_DB_ALIAS) -> Iterator[None]:
    """Inside, the owner of the tables may delete what is sealed (migration 0005)."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT set_config('hpns.erasure', 'on', true)")
        yield
        cursor.execute("SELECT set_config('hpns.erasure', '', true)")
