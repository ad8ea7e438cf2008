"""Open circuit breakers of all processes, for pages: each process with open ones says so in Valkey every two seconds.

One hash with a field for each such process, which it deletes when none is open any more; what a process that died has
left is not read after STALE seconds. Nothing is written, and no timer runs, as long as no breaker is open.
"""

import asyncio
import logging
import secrets
from collections.abc import Iterable
from typing import Any, Final, NamedTuple, cast

import msgspec
import redis

from delivery.queue import shared_clock, valkey
from delivery.worker.breaker import Breakers

logger = logging.getLogger(__name__)

KEY: Final = "breakers:open"
# Seconds between two reports of a process, after which it is taken for dead, and for which the last of all is kept.
INTERVAL, STALE, KEPT = 2.0, 10.0, 60
# Breakers of one process that are told of: the first that opened.
MOST: Final = 200


class OpenBreaker(msgspec.Struct, array_like=True, frozen=True):
    """A credential of an app with which nothing is sent to a host for a while, or a few probes (`is_probing`).

    since, probe_at: unix seconds, when it opened and when the next probe may be sent; reason: the last failure's, a
    TransportFault or a status; held: pushes that were not sent for it, each counted once.
    """

    app_id: int
    credential_id: int
    host: str
    since: float
    probe_at: float
    reason: str
    held: int
    is_probing: bool


class _Report(msgspec.Struct, array_like=True):
    at: float
    open: list[OpenBreaker]


class Paused(NamedTuple):
    """The same over all `processes` that have one open: since the first, until the next probe of any."""

    app_id: int
    credential_id: int
    host: str
    since: float
    probe_at: float
    reason: str
    held: int
    is_probing: bool
    processes: int


_decode = msgspec.json.Decoder(_Report).decode


class BreakerReports:
    """Tells of the breakers of one process; run() on its loop."""

    def __init__(self, breakers: Breakers, link: valkey.Link, loop: asyncio.AbstractEventLoop) -> None:
        self._breakers, self._link, self._loop = breakers, link, loop
        self._name = secrets.token_hex(6)
        self._opened, self._has_told = asyncio.Event(), False
        breakers.on_opened = self._opened.set

    async def run(self) -> None:
        """Tell while any is open, until cancelled."""
        while True:
            await self._opened.wait()
            while found := self._now():
                report = msgspec.json.encode(_Report(shared_clock.now(), found))
                self._has_told = True
                await asyncio.gather(self._ask("HSET", KEY, self._name, report), self._ask("EXPIRE", KEY, str(KEPT)))
                await asyncio.sleep(INTERVAL)
            self._opened.clear()
            await self.withdraw()

    async def withdraw(self) -> None:
        """Tell that none is open here, if anything else was told."""
        if self._has_told:
            self._has_told = False
            await self._ask("HDEL", KEY, self._name)

    async def _ask(self, *command: Any) -> None:
        try:
            reply = await self._link.execute(*command)
        except ConnectionError:
            return  # the link says so, and what was told is not read for long
        if isinstance(reply, Exception):
            logger.warning("Valkey does not take which circuit breakers are open: %s", reply)

    def _now(self) -> list[OpenBreaker]:
        clock, now = self._loop.time(), shared_clock.now()
        return [
            OpenBreaker(
                each.app_id,
                each.credential_id,
                each.host,
                now - (clock - each.since),
                now - (clock - each.probe_at),
                each.reason,
                each.held,
                each.is_probing,
            )
            for each in self._breakers.open()
        ][:MOST]


def read(store: redis.Redis) -> list[Paused]:
    """The open breakers of all processes, those first that opened first. Blocks; raises redis.RedisError."""
    seconds, _ = store.time()
    reports = cast("dict[bytes, bytes]", store.hgetall(KEY))
    found: dict[tuple[int, int, str], list[OpenBreaker]] = {}
    for value in reports.values():
        report = _decode(value)
        if seconds - report.at <= STALE:
            for each in report.open:
                found.setdefault((each.app_id, each.credential_id, each.host), []).append(each)
    return sorted((_together(each) for each in found.values()), key=lambda paused: paused.since)


def _together(found: Iterable[OpenBreaker]) -> Paused:
    every = sorted(found, key=lambda each: each.since)
    first = every[0]
    return Paused(
        first.app_id,
        first.credential_id,
        first.host,
        first.since,
        min(each.probe_at for each in every),
        every[-1].reason,
        sum(each.held for each in every),
        any(each.is_probing for each in every),
        len(every),
    )
