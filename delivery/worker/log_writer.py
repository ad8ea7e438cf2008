"""Log writer of a worker: moves the rows and receipts that wait in Valkey into PostgreSQL, in a thread of its own.

Invariants: one writing at a time in a process; one that hangs holds up nothing but the next one, and fails within the
deadlines of its connections; rows that cannot be written are spoken of once a minute.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final, NamedTuple

import redis
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections

from delivery.executors import BoundedExecutor, ExecutorFullError
from delivery.log import receipts, told, writing
from delivery.log.receipts import Tally
from delivery.log.unmatched import Unmatched
from delivery.metrics import receipt_counts
from delivery.queue import key_usage, rejections, signature_samples, strangers
from delivery.worker import credential_reports, dispatch, incident_corrections, remove_reports
from delivery.worker.credential_reports import Report
from tenants import redis_client
from tenants.models import RemoveHold
from tenants.problem import first_line

logger = logging.getLogger(__name__)

# Seconds for one answer of Valkey, which may have much to read out.
STORE_TIMEOUT: Final = 10.0
# Seconds after which receipts wait for rows: what has come together of them while PostgreSQL was away, or of a flood,
# must not keep rows out of the log for minutes.
RECEIPTS_MOST: Final = 2.0
# Seconds before the same trouble is logged again.
REMINDER: Final = 60.0
_EXECUTOR: Final = BoundedExecutor("the delivery log", threads=1, queued=0)
_UNMATCHED: Final = Unmatched()
# By its address, of which a process has one.
_stores: Final[dict[str, redis.Redis]] = {}


class Written(NamedTuple):
    """How many rows of the log were written, what was done with receipts, what web processes report of credentials, and
    the holds on REMOVE that an e-mail is due for."""

    rows: int
    receipts: Tally
    reports: Sequence[Report] = ()
    holds: Sequence[RemoveHold] = ()


def write(*, with_reports: bool = False) -> Written:
    """Write the rows that wait, which keys were used and rejected, and the receipts, which are of such rows. Blocks.

    with_reports: take the reports of credentials, too; the caller sees to them.
    Raises django.db.Error and redis.RedisError; then nothing is lost, and the next call writes them.
    """
    close_old_connections()
    store = _store()
    told_before = told.waiting(store)
    written = writing.write(store)
    try:
        told.write(store, told_before)
        incident_corrections.write(store)
    except DatabaseError as error:
        # Such as before an update has given its right: it waits, and holds up nothing.
        logger.warning("rows of the log cannot be corrected yet: %s", first_line(error))
    try:
        key_usage.write(store)
        rejections.write(store)
        strangers.write(store)
        signature_samples.write(store)
    except DatabaseError as error:
        logger.warning("which keys were used cannot be written down yet: %s", first_line(error))
    tally = receipts.write(store, most_seconds=RECEIPTS_MOST)
    seconds, microseconds = store.time()
    _UNMATCHED.match(datetime.fromtimestamp(seconds, UTC).replace(microsecond=microseconds), tally)
    reports = credential_reports.forwarded(store) if with_reports else []
    return Written(written, tally, reports, _holds(store) if with_reports else ())


def _holds(store: redis.Redis) -> Sequence[RemoveHold]:
    try:
        return remove_reports.write(store)
    except DatabaseError as error:
        logger.warning("that devices are not removed cannot be written down yet: %s", first_line(error))
        return ()


def _store() -> redis.Redis:
    """The client of this process's writings: one connection is kept, which is made anew when it has broken."""
    url = settings.REDIS_URL
    if url not in _stores:
        _stores[url] = redis_client.connect(STORE_TIMEOUT)
    return _stores[url]


class LogWriter:
    """One per process. write() may be called by whoever thinks that it is time; all on one loop."""

    def __init__(self) -> None:
        self._begun_at = self._failing_since = self._logged_at = 0.0

    async def write(self) -> None:
        """Write what waits; returns at once when that is being done already. Trouble with a store is logged here."""
        now = time.monotonic()
        try:
            dispatcher = dispatch.here()
            begun = _EXECUTOR.submit(partial(write, with_reports=dispatcher.started))
            self._begun_at = now
            written = await asyncio.wrap_future(begun)
        except ExecutorFullError:
            # What has come since is for the next call, which comes in a second.
            if now - self._begun_at > REMINDER:
                self._remind(now, f"one writing has taken {now - self._begun_at:.0f} s so far")
        except (DatabaseError, redis.RedisError) as error:
            self._failing_since = self._failing_since or now
            self._remind(time.monotonic(), first_line(error))
        else:
            _count(written.receipts)
            for report in written.reports:
                dispatcher.reporter.report(report)
            for hold in written.holds:
                dispatcher.reporter.mail(hold.credential_id, partial(remove_reports.mail, hold))
            if self._failing_since:
                logger.warning(
                    "the delivery log is written again, after %.0f s", time.monotonic() - self._failing_since
                )
            self._failing_since = self._logged_at = 0.0

    def _remind(self, now: float, problem: str) -> None:
        if not self._logged_at or now - self._logged_at >= REMINDER:
            self._logged_at = now
            seconds = now - self._failing_since if self._failing_since else 0
            since = f" since {seconds:.0f} s ago" if seconds >= 1 else ""
            logger.error("the delivery log cannot be written%s, its rows wait in Valkey: %s", since, problem)


def _count(tally: Tally) -> None:
    for result, found in tally.results.items():
        receipt_counts.matched(result, found)
    for family, milliseconds in tally.first:
        receipt_counts.acked(family, milliseconds)


WRITER: Final = LogWriter()
