"""Keeps a process's directory fresh from within its event loop.

A change arrives by pub/sub at once, by a look at the stamp within a second, and by reading everything again within a
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
from typing import Final

from django.conf import settings
from django.db import connections
from redis import RedisError
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from tenants.directory import version_stamp
from tenants.directory.lookup import DirectoryError, Lookup

log = logging.getLogger(__name__)

# Seconds between two looks at the stamp.
POLL: Final = 1.0
# Seconds after which everything is read again without news, for a change whose `touch` never reached Valkey.
REREAD: Final = 60.0
# Seconds between two tries while something is away.
RETRY: Final = 2.0
# Seconds for one reading; a PostgreSQL that does not even refuse must not keep us from using the copy.
PATIENCE: Final = 10.0


async def follow(lookup: Lookup, load: Callable[[], str], load_copy: Callable[[str], str]) -> None:
    """Call `load` (in a thread) whenever there may be news, `load_copy` while a `load` hangs; until cancelled."""
    client = Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=version_stamp.PATIENCE,
        socket_connect_timeout=version_stamp.PATIENCE,
        retry=Retry(NoBackoff(), 0),
    )
    follower = _Follower(lookup, load, load_copy, client)
    listening = asyncio.create_task(_forever(follower.listen))
    try:
        await _forever(follower.look)
    finally:
        listening.cancel()
        await client.aclose()


class _Follower:
    def __init__(self, lookup: Lookup, load: Callable[[], str], load_copy: Callable[[str], str], client: Redis) -> None:
        self._lookup, self._load, self._load_copy, self._client = lookup, load, load_copy, client
        self._nudged = asyncio.Event()
        self._reading: asyncio.Future[str] | None = None
        self._reread_at = self._not_before = 0.0
        self._missed_news = False
        self._said = ""

    async def listen(self) -> None:
        async with self._client.pubsub() as channel:
            await channel.subscribe(version_stamp.CHANNEL)
            while True:
                if await channel.get_message(ignore_subscribe_messages=True, timeout=30.0) is not None:
                    self._nudged.set()

    async def look(self) -> None:
        lookup = self._lookup
        news = lookup.source != "postgres"
        try:
            value = await self._client.get(version_stamp.VERSION)
        except RedisError as error:
            # While Valkey is away a change may be made whose stamp never gets there.
            self._missed_news = True
            if not news:
                lookup.problem = f"Valkey cannot be reached ({error})"
        else:
            news = news or self._missed_news or version_stamp.as_number(value) != lookup.version
            if not news:
                lookup.fresh_at = time.time()
        now = time.monotonic()
        if (news or now >= self._reread_at) and now >= self._not_before:
            await self._read()
        self._say_what_changed()
        with contextlib.suppress(TimeoutError):
            # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the news.
            async with asyncio.timeout(POLL):
                await self._nudged.wait()
        self._nudged.clear()

    async def _read(self) -> None:
        missed_news, self._missed_news = self._missed_news, False
        if self._reading is None:
            self._reading = _in_daemon_thread(self._load)
        done, _ = await asyncio.wait({self._reading}, timeout=PATIENCE)
        try:
            if done:
                reading, self._reading = self._reading, None
                with contextlib.suppress(DirectoryError):  # lookup.problem says why
                    reading.result()
            else:
                with contextlib.suppress(DirectoryError):
                    await _in_daemon_thread(lambda: self._load_copy("PostgreSQL does not answer"))
        finally:
            if self._lookup.source == "postgres" and not self._lookup.problem:
                # Spread, so that not all processes read in the same second.
                self._reread_at = time.monotonic() + REREAD * random.uniform(0.8, 1.2)  # noqa: S311
                self._not_before = 0.0
            else:
                self._missed_news |= missed_news
                self._not_before = time.monotonic() + RETRY

    def _say_what_changed(self) -> None:
        problem = self._lookup.problem
        if problem == self._said:
            return
        if not problem:
            log.info("the directory is up to date")
        elif self._lookup.ready:
            log.warning("%s: the directory goes on with what it knows", problem)
        else:
            log.error("%s: no server key can be recognised yet", problem)
        self._said = problem


async def _forever(step: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await step()
        except RedisError:
            await asyncio.sleep(POLL)  # The stamp cannot be read either then, and looking for it says so.
        except Exception:
            # Our own bug, said loudly: the next step may do better than a directory that stands still.
            log.exception("keeping the directory fresh failed")
            await asyncio.sleep(POLL)


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
