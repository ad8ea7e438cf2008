"""The Celery tasks of the delivery.

No rule of ours lives here: a task hands over to the file that knows. `deliver` carries one batch of pushes; `record`
moves what ended into the delivery log, which workers do by a timer of their own (worker/log_timer.py); `compact` merges
what that has added to the rollups; `partitions` keeps the days of the one and the months of the other; `recheck` checks
credentials again that their provider does not accept; `devices` takes what came to the log into the tables of devices,
`active_devices` counts them.
"""

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from celery import shared_task
from celery.exceptions import Reject
from celery.signals import worker_ready, worker_shutdown, worker_shutting_down
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections
from kombu.exceptions import OperationalError

from delivery.devices import absorbing, counting, forgetting
from delivery.executors import BoundedExecutor, ExecutorFullError
from delivery.log.partitions import drop_partitions, make_partitions, todays_date
from delivery.log.retention import drop_counts
from delivery.queue import receipt, timetable, valkey
from delivery.rollups import compacting
from delivery.worker import credential_check, dispatch, ledger_watch, log_timer, log_writer, remove_reports
from tenants import redis_client, vault
from tenants.problem import first_line
from tenants.supervision import supervise

logger = logging.getLogger(__name__)

__all__ = [
    "OperationalError",
    "active_devices",
    "compact",
    "deliver",
    "devices",
    "forget_devices",
    "partitions",
    "publish",
    "recheck",
    "record",
]

# Seconds between two looks after the log's partitions; and after one that could not do all.
PARTITIONS_INTERVAL, PARTITIONS_RETRY = 6 * 3600.0, 300.0
_PARTITIONS = BoundedExecutor("the log's partitions", threads=1, queued=0)
_ROLLUPS = BoundedExecutor("the rollups", threads=1, queued=0)
_supervised: list["asyncio.Task[None]"] = []


@shared_task(name="delivery.deliver", acks_late=True, ignore_result=True)
def deliver(batch_id: str, sealed: str = "") -> None:
    """Deliver one batch. A worker awaits `deliver.coroutine`; called as a plain task it runs a loop of its own."""
    asyncio.run(_deliver_alone(batch_id, sealed))


async def _deliver_alone(batch_id: str, sealed: str) -> None:
    dispatch.here().start()
    await _deliver({}, batch_id, sealed)


async def _deliver(request: Mapping[str, Any], batch_id: str, sealed: str = "") -> None:
    again = bool((request.get("delivery_info") or {}).get("redelivered"))
    try:
        await dispatch.here().run(batch_id, sealed, again, receipt.of(request))
    except vault.VaultError:
        # A key is missing from VAULT_KEYS (the dispatcher has logged it): the batch stays until it is back.
        await asyncio.sleep(5)
        raise Reject("the batch cannot be opened", requeue=True) from None
    except Exception as error:
        # A fault of ours, or a batch that was altered. Its pushes may have been told OK: it is kept, not tried again.
        logger.exception("a batch cannot be delivered", extra={"batch": batch_id})
        raise Reject(type(error).__name__, requeue=False) from error


deliver.coroutine = _deliver


@shared_task(name="delivery.record", acks_late=True, ignore_result=True)
def record() -> int:
    """Write the rows that wait in Valkey into the delivery log, and the receipts of phones; returns how many rows.

    A worker awaits its coroutine.
    """
    return log_writer.write().rows


async def _record(_request: Mapping[str, Any]) -> None:
    await log_writer.WRITER.write()


record.coroutine = _record


@shared_task(name="delivery.partitions", acks_late=True, ignore_result=True)
def partitions() -> bool:
    """Make the partitions of the days to come and drop what is past retention; returns whether all was done."""
    close_old_connections()
    today = todays_date()
    make_partitions(today)
    _, held = drop_partitions(today)
    drop_counts(today)
    return not held


async def _partitions(_request: Mapping[str, Any]) -> bool:
    try:
        return await _PARTITIONS.run(partitions)
    except ExecutorFullError:
        return True  # whoever is at it sees to the rest
    except DatabaseError as error:
        logger.warning(
            "the log's partitions cannot be looked after, rows go to the default one meanwhile: %s", first_line(error)
        )
        return False


partitions.coroutine = _partitions


@shared_task(name="delivery.compact", acks_late=True, ignore_result=True)
def compact() -> int:
    """Merge the rows of the rollups that have come together; returns how many. Raises django.db.Error."""
    close_old_connections()
    return compacting.compact()


async def _compact(_request: Mapping[str, Any]) -> None:
    await _note_timetable()
    try:
        await _ROLLUPS.run(compact)
    except ExecutorFullError:
        pass  # what has come since is for the next one
    except DatabaseError as error:
        logger.warning("the rollups cannot be merged, which only makes them larger: %s", first_line(error))


compact.coroutine = _compact


async def _note_timetable(*, heard: bool = True) -> None:
    """What comes each minute is what the timetable is known by (queue/timetable.py)."""
    try:
        await timetable.note(partial(valkey.ask, valkey.shared(settings.REDIS_URL)), heard=heard)
    except ConnectionError as error:
        logger.warning("that the timetable is heard of cannot be noted: %s", error)


@shared_task(name="delivery.recheck", acks_late=True, ignore_result=True)
def recheck() -> int:
    """Recheck the credentials that their provider does not accept: one may be good again. Returns how many are.

    And end the holds on REMOVE whose fuse would not trip any more.
    """
    close_old_connections()
    with redis_client.connect(credential_check.SECONDS) as store:
        remove_reports.release_settled(store)
    return credential_check.recheck()


@shared_task(name="delivery.devices", acks_late=True, ignore_result=True)
def devices() -> int:
    """Take what came to the log, and receipts, into the tables of devices; returns in how many batches."""
    close_old_connections()
    return absorbing.absorb()


@shared_task(name="delivery.active_devices", acks_late=True, ignore_result=True)
def active_devices() -> int:
    """Count active devices; returns how many months were counted."""
    close_old_connections()
    return len(counting.count_active())


@shared_task(name="delivery.forget_devices", acks_late=True, ignore_result=True)
def forget_devices() -> int:
    """Forget devices that no push has named for long; returns how many rows went."""
    close_old_connections()
    return forgetting.forget()


async def _log_timer() -> None:
    await log_timer.keep(valkey.shared(settings.REDIS_URL))


async def _partitions_watchdog() -> None:
    """Look after the log's partitions: at the start, for the first rows of a new installation come at once, then now
    and then, and again soon where not all could be done."""
    await _note_timetable(heard=False)
    while True:
        await asyncio.sleep(PARTITIONS_INTERVAL if await _partitions({}) else PARTITIONS_RETRY)


@worker_ready.connect
def _begin(sender: Any = None, **_: Any) -> None:
    loop = sender.hub.aio
    _supervised.append(supervise("the dispatcher", dispatch.here().serve, loop=loop))
    ledger = lambda: ledger_watch.watch(valkey.shared(settings.REDIS_URL))  # noqa: E731
    _supervised.append(supervise("the ledger of pushes", ledger, essential=False, loop=loop))
    _supervised.append(supervise("the timer of the log", _log_timer, essential=False, loop=loop))
    _supervised.append(supervise("the log's partitions", _partitions_watchdog, essential=False, loop=loop))


@worker_shutting_down.connect
def _leave(**_: Any) -> None:
    # From the handler of a signal: the loop comes to it when it has done what it is at.
    asyncio.get_event_loop_policy().get_event_loop().call_soon_threadsafe(dispatch.here().leave)


@worker_shutdown.connect
def _end(sender: Any = None, **_: Any) -> None:
    for task in _supervised:
        task.cancel()
    loop = asyncio.get_event_loop_policy().get_event_loop()
    if not loop.is_closed() and not loop.is_running():
        loop.run_until_complete(dispatch.here().close())


def publish(batch_id: str, sealed: str) -> None:
    """Publish a batch through any broker that Celery knows; blocks, so call it in a thread. Raises OperationalError."""
    deliver.apply_async((batch_id, sealed), task_id=batch_id, retry=False, argsrepr="", kwargsrepr="")
