"""The SLA's round: writes minutes, seals days, closes months, tells of chains that broke. Catches up by itself.

Invariant: forty days without a round end in the same files, heads, months and credits as daily rounds; and what cannot
be done for one customer is done for the others (billing/rounds.py).
"""

import logging
from datetime import date, datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

from django.db import connection

from billing import rounds
from billing.models import SlaLedger
from billing.sla import judging, keeping, keys, months, sealing, telling
from billing.sla.judging import MINUTE
from billing.sla.sources import Sources
from tenants.problem import ProblemError

log = logging.getLogger(__name__)

# What a round writes again of the days that are not sealed: all of it once an hour, else the last hours.
RECENT: Final = timedelta(hours=2)
EVERY: Final = timedelta(minutes=5)
# By how much our clock and the database's may differ.
CLOCKS: Final = timedelta(minutes=10)


class Round(NamedTuple):
    """What a round has done."""

    minutes: int
    sealed: list[date]


def round_(now: datetime, sources: Sources) -> Round:
    """Do all that is due at `now`. Without a key nothing is: the ledger has not begun.

    Raises VaultError, ProblemError.
    """
    if keys.first_made_at() is None:
        return Round(0, [])
    keeping.open_ledgers(sources)
    sealed = []
    for day in sealing.days_to_seal(now):
        sealing.seal(day, now=now, sources=sources)
        sealed.append(day)
    isolation = rounds.Isolation(rounds.Round.SLA_MONTHS, now)
    for of, month in months.unclosed():
        isolation.attempt(of.customer_id, partial(months.close, of, month, now=now, sources=sources))
    if sealed:
        telling.note(now)
        log.info("The SLA's days from %s to %s are sealed.", sealed[0], sealed[-1])
    written = keeping.write(_from(now), _settled(now), sources)
    telling.send_due(now, sources)
    return Round(written, sealed)


def check_clock(now: datetime) -> None:
    """Raise ProblemError where our clock and the database's differ: a day is not sealed before it has been."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        theirs: datetime = cursor.fetchone()[0]
    if abs(theirs - now) > CLOCKS:
        raise ProblemError(f"the SLA's round is put off: our clock says {now:%c}, the database's {theirs:%c} (UTC)")


def _settled(now: datetime) -> datetime:
    return (now - keeping.SETTLED_AFTER).replace(second=0, microsecond=0)


def _from(now: datetime) -> datetime:
    """From when on minutes are written again."""
    if now.replace(minute=0, second=0, microsecond=0) + EVERY <= now:
        return _settled(now) - RECENT
    last = keeping.sealed_to()
    first = SlaLedger.objects.order_by("begins").values_list("begins", flat=True).first()
    day = last + timedelta(days=1) if last else first or now.date()
    return min(judging.midnight(day), _settled(now) - MINUTE)
