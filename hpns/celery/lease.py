"""Lease of a worker: its heartbeats, what they say of its state, and the takeover from workers whose lease has expired.

A worker that cannot deliver keeps its lease, for others would otherwise send again what it still has in its hands; that
it cannot stands beside the lease, in the hash workers:failing, where readiness and the health check read it. An older
worker, which writes no state, counts as one that can.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Iterable
from typing import Final

import redis

from delivery.queue import valkey
from hpns.celery import commands
from hpns.celery.commands import FAILING, HEARTBEAT_SECONDS, LEASE_SECONDS, WORKERS
from tenants.ticks import tick

logger = logging.getLogger(__name__)

# Seconds until the next heartbeat after one that failed, and after one that told of a problem: it may be over soon.
RETRY_SECONDS, RECHECK_SECONDS = 0.1, 0.25
# How the name of a web process begins, which has a lease for what it sends itself, and is no worker.
WEB: Final = "web@"
# Seconds without a heartbeat after which one was missed; the server counts whole ones.
MISSED_SECONDS = HEARTBEAT_SECONDS + 1
# Seconds for which one that has missed a heartbeat, or sends its first, takes nothing over: the server may have been
# away, so that nobody could renew a lease, and whoever lives has reconnected by then (valkey.RETRY_MOST) and renews it.
# What an unharmed process is sending would be sent twice, and a call rings twice.
PATIENCE_SECONDS: Final = 3.0
# Characters of a state that are published.
STATE_LENGTH = 300


class Lease:
    """The lease of one worker on its messages; keep() renews it.

    queues: whose expired processing lists it requeues; problems: what keeps this worker from delivering, called at
    each heartbeat; on_renewed: called after each.
    """

    def __init__(
        self,
        worker: str,
        link: valkey.Link,
        loop: asyncio.AbstractEventLoop,
        problems: Callable[[], list[str]],
        on_renewed: Callable[[], None],
    ) -> None:
        self.worker = worker
        self.queues: list[str] = []
        self._link, self._loop, self._problems, self._on_renewed = link, loop, problems, on_renewed
        self._renewed_at = self._patient_until = -math.inf
        self._renewed = asyncio.Event()
        self._refusal = ""

    def is_valid(self) -> bool:
        """Whether the server surely counts this worker as alive: else nobody would requeue what it takes."""
        return self._loop.time() - self._renewed_at < LEASE_SECONDS

    async def wait_until_valid(self) -> None:
        """Return when the lease is valid."""
        while not self.is_valid():
            self._renewed.clear()
            await self._renewed.wait()

    async def keep(self) -> None:
        """Renew the lease, and take over from others, until cancelled."""
        while True:
            problems = self._problems()
            try:
                in_time = self._loop.time() - self._renewed_at < MISSED_SECONDS
                await self._renew("; ".join(problems)[:STATE_LENGTH])
                self._on_renewed()
                if self._may_take_over(in_time=in_time):
                    await self._requeue_expired("")
            except commands.CommandRefused as error:
                if str(error) != self._refusal:
                    logger.error("Valkey refuses this worker's heartbeat: %s", error)
                self._refusal = str(error)
                await asyncio.sleep(RECHECK_SECONDS)
            except ConnectionError:
                # The link logs it and reconnects; until then nobody can renew a lease.
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._refusal = ""
                await tick(RECHECK_SECONDS if problems else HEARTBEAT_SECONDS)

    def _may_take_over(self, *, in_time: bool) -> bool:
        """Whether an expired lease means that its worker is gone; in_time: no heartbeat of this one was missed."""
        now = self._loop.time()
        # A process that always comes late, on a machine that is busy, is patient for a part of the time only.
        if not in_time and now >= self._patient_until + LEASE_SECONDS:
            self._patient_until = now + PATIENCE_SECONDS
        return now >= self._patient_until

    async def _renew(self, state: str) -> None:
        sent_at = self._loop.time()
        await commands.ask(self._link, "EVAL", commands.HEARTBEAT, "0", self.worker, state)
        self._renewed_at = sent_at  # the server has counted from then at the earliest
        self._renewed.set()

    async def _requeue_expired(self, given_up: str) -> None:
        requeued = await commands.ask(self._link, "EVAL", commands.REQUEUE_EXPIRED, "0", given_up, *self.queues)
        if requeued and given_up:
            logger.warning("requeued %d unfinished messages", requeued)
        elif requeued:
            logger.warning("requeued %d messages of workers whose lease has expired", requeued)

    async def recover(self, connection: valkey.Connection, key: str, known: Collection[bytes]) -> None:
        """Put the server in order after it was away, on its new connection: it may have lost what it had last.

        It is to know this lease, and what stands in the processing list `key` while nobody has it in hands (`known`:
        the messages that somebody has) goes back to the queue: its acknowledgement was lost. Raises ConnectionError.
        """
        if self._renewed_at == -math.inf:
            return  # not held yet, or given up
        await connection.execute("EVAL", commands.HEARTBEAT, "0", self.worker, "")
        listed = await connection.execute("LRANGE", key, "0", "-1")
        if isinstance(listed, Exception):
            raise commands.CommandRefused(str(listed))
        requeued = 0
        for item in listed:
            if item not in known:
                requeued += await connection.execute("EVAL", commands.REQUEUE, "2", key, self.queues[0], item) == 1
        if requeued:
            logger.warning("requeued %d messages whose acknowledgement Valkey has lost", requeued)

    async def give_up(self) -> None:
        """Give the lease up, which requeues what is unfinished. Raises ConnectionError."""
        self._renewed_at = -math.inf
        await self._requeue_expired(self.worker)


def worker_states(client: redis.Redis) -> dict[str, str]:
    """Return the workers with a valid lease, by name, each with what keeps it from delivering ("": nothing).

    A name begins with the worker's host and a colon. Raises RedisError.
    """
    since = int(client.time()[0]) - LEASE_SECONDS
    with client.pipeline(transaction=False) as together:
        together.zrangebyscore(WORKERS, since, "+inf")
        together.hgetall(FAILING)
        return _states(*together.execute())


async def look_at_workers(link: valkey.Link) -> tuple[dict[str, str], bool]:
    """The same as worker_states(), on an event loop; and whether any worker has sent its latest heartbeat in time: one
    that died is missed before its lease expires.

    Raises ConnectionError.
    """
    (now, _), found, failing = await asyncio.gather(
        commands.ask(link, "TIME"),
        commands.ask(link, "ZRANGE", WORKERS, "0", "-1", "WITHSCORES"),
        commands.ask(link, "HGETALL", FAILING),
    )
    heartbeats = {name: float(at) for name, at in _pairs(found)}
    alive = [name for name, at in heartbeats.items() if at >= int(now) - LEASE_SECONDS]
    in_time = any(_is_worker(name) and at >= int(now) - MISSED_SECONDS for name, at in heartbeats.items())
    return _states(alive, dict(_pairs(failing))), in_time


def _pairs(flat: list[bytes]) -> Iterable[tuple[bytes, bytes]]:
    """A reply of names and values in turns, as RESP2 has them."""
    return zip(flat[::2], flat[1::2], strict=True)


def _states(alive: list[bytes], failing: dict[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): failing.get(name, b"").decode(errors="replace") for name in alive if _is_worker(name)}


def _is_worker(name: bytes) -> bool:
    return not name.startswith(WEB.encode())
