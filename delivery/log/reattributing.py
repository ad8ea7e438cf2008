"""Corrects whose fault refusals were, in rows of the log that were written before their provider's incident was known.

Invariant: rows and what they were counted under change in one transaction, so that each push is counted once, the
rollups say what rebuilding.rebuild() would, and what is corrected already is not found again.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db import connection, transaction

from delivery.log import segments
from delivery.outcomes.verdict import Outcome
from delivery.rollups import cells
from delivery.rollups.buckets import bucket_of
from delivery.rollups.increments import Cell, Increments

PROVIDER: Final = "provider"
# The log's most seconds between the acceptance of a push and its end, but for what is tried again later.
LONGEST: Final = timedelta(seconds=15)
# An end is noted a little before or after the refusal is.
EARLIER: Final = timedelta(seconds=5)
# FROM gives the rows as they were.
_CORRECT: Final = f"""
WITH found AS MATERIALIZED (
    SELECT d.trace, d.accepted_at, d.attribution, d.counts FROM delivery_delivery d
    WHERE d.accepted_at >= %(first)s AND d.accepted_at <= %(last)s AND d.ended_at >= %(begun)s
        AND d.outcome = '{Outcome.REFUSED.value}' AND d.code = ANY(%(codes)s::text[])
        AND d.attribution <> '{PROVIDER}' AND {cells.FAMILY} = %(family)s
        AND NOT coalesce(d.app_id, 0) = ANY(%(apps)s::bigint[])
)
UPDATE delivery_delivery AS row SET attribution = '{PROVIDER}', counts = false FROM found
WHERE row.trace = found.trace AND row.accepted_at = found.accepted_at
    AND row.accepted_at >= %(first)s AND row.accepted_at <= %(last)s
RETURNING row.accepted_at, row.ended_at, row.customer_id, row.server_id, coalesce(row.app_id, 0), row.platform,
    row.type, row.outcome, row.code, row.count, found.attribution, found.counts
"""  # noqa: S608  of constants of ours


class Incident(NamedTuple):
    """That a provider of this family refused everybody from `begun` on, by answers that have these codes. apps: whose
    refusals are not of it."""

    family: str
    begun: datetime
    codes: Collection[str]
    apps: Collection[int]


def correct(incident: Incident, first: datetime, last: datetime) -> int | None:
    """Put down to its provider what was refused in an incident, of the pushes accepted from `first` to `last`; returns
    how many rows were corrected, None: another writer is at work. Raises django.db.Error."""
    values: dict[str, Any] = {
        "family": incident.family,
        "begun": incident.begun - EARLIER,
        "codes": list(incident.codes),
        "apps": list(incident.apps),
        "first": first,
        "last": last,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        if not segments.locked(cursor):
            return None
        cursor.execute(_CORRECT, values)
        rows = cursor.fetchall()
        increments = Increments()
        for row in rows:
            _move(increments, *row)
        increments.write(cursor)
    return len(rows)


def _move(
    increments: Increments, accepted: datetime, ended: datetime, customer: int, server: int, app: int, *rest: Any
) -> None:
    """Count a row's pushes where they belong, and no more where they were counted."""
    platform, kind, outcome, code, count, attribution, counts = rest
    bucket = bucket_of(round((ended - accepted) / timedelta(milliseconds=1)))
    minute = accepted.replace(second=0, microsecond=0)
    what = (minute, customer, server, app, cells.family(platform), cells.kind(kind), outcome, code)
    increments.push(Cell(*what, attribution, counts), -count, bucket)
    increments.push(Cell(*what, PROVIDER, False), count, bucket)
