"""The Celery tasks of the delivery.

No rule of ours lives here: a task hands over to the file that knows. `deliver` carries one batch of pushes; `record`
moves what ended into the delivery log; `partitions` keeps its days; `recheck` checks credentials again that their
provider does not accept.
"""

import asyncio
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import redis
from celery import shared_task
from celery.exceptions import Reject
from celery.signals import worker_ready, worker_shutdown
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections
from kombu.exceptions import OperationalError

from delivery.log import writing
from delivery.log.partitions import drop_partitions, make_partitions
from delivery.log.rows import ROWS
from delivery.queue import key_usage, valkey
from delivery.worker import credential_check, dispatch
from tenants import redis_client, vault

logger = logging.getLogger(__name__)

__all__ = ["OperationalError", "deliver", "partitions", "publish", "recheck", "record"]

# Seconds between two checks that rows do not pile up in Valkey.
WATCHDOG_INTERVAL = 5.0
_watchdogs: list["asyncio.Task[None]"] = []


@shared_task(name="delivery.deliver", acks_late=True, ignore_result=True)
def deliver(batch_id: str, sealed: str = "") -> None:
    """Deliver one batch. A worker awaits `deliver.coroutine`; called as a plain task it runs a loop of its own."""
    asyncio.run(_deliver({}, batch_id, sealed))


async def _deliver(request: Mapping[str, Any], batch_id: str, sealed: str = "") -> None:
    again = bool((request.get("delivery_info") or {}).get("redelivered"))
    try:
        await dispatch.here().run(batch_id, sealed, again)
    except vault.VaultError:
        # A key is missing from VAULT_KEYS (the dispatcher has logged it): the batch stays until it is back.
        await asyncio.sleep(5)
        raise Reject("the batch cannot be opened", requeue=True) from None


deliver.coroutine = _deliver


@shared_task(name="delivery.record", acks_late=True, ignore_result=True)
def record() -> int:
    """Write the rows that wait in Valkey into the delivery log; returns how many."""
    close_old_connections()
    with redis_client.connect(10) as store:
        written = writing.write(store)
        key_usage.write(store)
        return written


@shared_task(name="delivery.partitions", acks_late=True, ignore_result=True)
def partitions() -> None:
    """Make the log's partitions of the days to come and drop those past retention."""
    close_old_connections()
    today = datetime.now(UTC).date()
    make_partitions(today)
    drop_partitions(today)


@shared_task(name="delivery.recheck", acks_late=True, ignore_result=True)
def recheck() -> int:
    """Recheck the credentials that their provider does not accept: one may be good again. Returns how many are."""
    close_old_connections()
    return credential_check.recheck()


async def _log_watchdog(loop: asyncio.AbstractEventLoop) -> None:
    """Write the log where no `record` task comes: beat is down, or Valkey too full for its message."""
    link, waiting = valkey.shared(settings.REDIS_URL, loop), 0
    while True:
        await asyncio.sleep(WATCHDOG_INTERVAL)
        try:
            before, waiting = waiting, await link.execute("LLEN", ROWS)
            if isinstance(waiting, int) and isinstance(before, int) and waiting >= before > 0:
                await loop.run_in_executor(None, record)
        except (ConnectionError, DatabaseError, redis.RedisError) as error:
            logger.warning("rows of the delivery log wait in Valkey, they cannot be written: %s", error)


def _partitions_at_start() -> None:
    try:
        partitions()
    except DatabaseError as error:
        logger.warning("the log's partitions could not be made, rows go to the default one until then: %s", error)


@worker_ready.connect
def _begin(sender: Any = None, **_: Any) -> None:
    loop = sender.hub.aio
    loop.create_task(dispatch.here().start())
    _watchdogs.append(loop.create_task(_log_watchdog(loop)))
    # Not left to the timetable: the first rows of a new installation come at once.
    loop.run_in_executor(None, _partitions_at_start)


@worker_shutdown.connect
def _end(sender: Any = None, **_: Any) -> None:
    for task in _watchdogs:
        task.cancel()
    loop = asyncio.get_event_loop_policy().get_event_loop()
    if not loop.is_closed() and not loop.is_running():
        loop.run_until_complete(dispatch.here().close())


def publish(batch_id: str, sealed: str) -> None:
    """Publish a batch through any broker that Celery knows; blocks, so call it in a thread. Raises OperationalError."""
    deliver.apply_async((batch_id, sealed), task_id=batch_id, retry=False, argsrepr="", kwargsrepr="")
