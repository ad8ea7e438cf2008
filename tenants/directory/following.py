"""Cache refresh of a process's directory: pub/sub, polling of the version stamp, and periodic reloads.

A change arrives by pub/sub at once, by a look at the stamp within a second, and by comparing everything within a
minute even if nobody told. Readings run one at a time, each in a daemon thread: a PostgreSQL that does not answer must
hold up neither the loop nor the end of the process.
"""

import asyncio
import concurrent.futures
import contextlib
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, Protocol

from django.conf import settings
from django.db import connections
from redis import RedisError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tenants import redis_client
from tenants.directory import version_stamp
from tenants.directory.lookup import DirectoryError
from tenants.supervision import supervise
from tenants.ticks import until_tick

log = logging.getLogger(__name__)

# Seconds between two polls of the version.
POLL_INTERVAL: Final = 1.0
# Seconds after which everything is compared without a notification, for a change whose `bump` never reached Valkey.
RELOAD_INTERVAL: Final = 60.0
# Seconds between two retries while a store is unavailable.
RETRY_INTERVAL: Final = 2.0
# Seconds for one reading; a PostgreSQL that does not even refuse must not keep us from using the copy.
LOAD_TIMEOUT: Final = 10.0


class Followed(Protocol):
    """A directory: see live.Directory and lookup.Lookup, which say what each is."""

    version: int
    source: str
    fresh_at: float
    problem: str

    @property
    def ready(self) -> bool: ...
    def load(self) -> str: ...
    def update(self) -> str: ...
    def load_copy(self, reason: str) -> str: ...


ReadStamp = Callable[[], Awaitable[bytes | None]]
"""Reads the version stamp in Valkey, within its TIMEOUT. Raises RedisError or ConnectionError."""


async def follow(lookup: Followed, read_stamp: ReadStamp | None = None) -> None:
    """Call `update` (in a thread) whenever there is a change, `load` where one may have been missed and once a minute,
    `load_copy` while they hang; until cancelled.

    A fault of our own comes out of it: supervise() says so loudly and begins anew, with a look at everything.
    """
    client = Redis.from_url(
        settings.REDIS_URL, retry=Retry(NoBackoff(), 0), **redis_client.options(version_stamp.TIMEOUT)
    )
    follower = _Follower(lookup, client, read_stamp)
    listener = supervise(
        "the listener for changes of the directory", lambda: _run_forever(follower.listen), essential=False
    )
    try:
        await _run_forever(follower.poll)
    finally:
        listener.cancel()
        await client.aclose()


class _Follower:
    def __init__(self, lookup: Followed, client: Redis, read_stamp: ReadStamp | None) -> None:
        self._lookup, self._client = lookup, client
        self._read_stamp = read_stamp or partial(client.get, version_stamp.VERSION_KEY)
        self._notified = asyncio.Event()
        self._loading: asyncio.Future[str] | None = None
        self._reload_at = self._not_before = 0.0
        self._missed_change = False
        self._logged_problem = ""

    async def listen(self) -> None:
        async with self._client.pubsub() as channel:
            await channel.subscribe(version_stamp.CHANNEL)
            while True:
                if await channel.get_message(ignore_subscribe_messages=True, timeout=30.0) is not None:
                    self._notified.set()

    async def poll(self) -> None:
        lookup = self._lookup
        changed = lookup.source != "postgres"
        try:
            value = await self._read_stamp()
        except (RedisError, ConnectionError) as error:
            # While Valkey is away a change may be made whose stamp never gets there.
            self._missed_change = True
            if not changed:
                lookup.problem = f"Valkey cannot be reached ({error})"
        else:
            changed = changed or self._missed_change or version_stamp.as_number(value) != lookup.version
            if not changed:
                lookup.fresh_at = time.time()
        now = time.monotonic()
        due = now >= self._reload_at
        if (changed or due) and now >= self._not_before:
            await self._reload(whole=due or self._missed_change or lookup.source != "postgres")
        self._log_problem()
        with contextlib.suppress(TimeoutError):
            # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the news.
            async with asyncio.timeout(until_tick(POLL_INTERVAL, asyncio.get_running_loop().time())):
                await self._notified.wait()
        self._notified.clear()

    async def _reload(self, *, whole: bool) -> None:
        missed_change, self._missed_change = self._missed_change, False
        if self._loading is None:
            self._loading = _in_daemon_thread(self._lookup.load if whole else self._lookup.update)
        done, _ = await asyncio.wait({self._loading}, timeout=LOAD_TIMEOUT)
        try:
            if done:
                loading, self._loading = self._loading, None
                with contextlib.suppress(DirectoryError):  # lookup.problem says why
                    loading.result()
            else:
                with contextlib.suppress(DirectoryError):
                    await _in_daemon_thread(lambda: self._lookup.load_copy("PostgreSQL does not answer"))
        finally:
            if self._lookup.source == "postgres" and not self._lookup.problem:
                if whole:
                    # Spread, so that not all processes read in the same second.
                    self._reload_at = time.monotonic() + RELOAD_INTERVAL * random.uniform(0.8, 1.2)  # noqa: S311
                self._not_before = 0.0
            else:
                self._missed_change |= missed_change
                self._not_before = time.monotonic() + RETRY_INTERVAL

    def _log_problem(self) -> None:
        problem = self._lookup.problem
        if problem == self._logged_problem:
            return
        if not problem:
            log.info("the directory is up to date")
        elif self._lookup.ready:
            log.warning("%s: the directory keeps its last contents", problem)
        else:
            log.error("%s: no server key can be recognised yet", problem)
        self._logged_problem = problem


async def _run_forever(step: Callable[[], Awaitable[None]]) -> None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101  it runs in one
    # A library that swallows a cancellation, in a race with a time-out of its own, must not keep us going for ever.
    while not task.cancelling():
        try:
            await step()
        except RedisError:
            await asyncio.sleep(POLL_INTERVAL)  # The stamp cannot be read either then, and looking for it says so.
    raise asyncio.CancelledError


def _in_daemon_thread(work: Callable[[], str]) -> asyncio.Future[str]:
    """The result of `work`, run in a thread whose database connection is closed afterwards."""
    result: concurrent.futures.Future[str] = concurrent.futures.Future()
    # It runs from now on and can no longer be cancelled: whoever stops waiting must not trip the thread at its end.
    result.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:  # noqa: BLE001 - not swallowed: whoever awaits the result gets it
            result.set_exception(error)
        finally:
            connections.close_all()

    threading.Thread(target=run, name="directory", daemon=True).start()
    return asyncio.wrap_future(result)
