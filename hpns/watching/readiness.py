"""Readiness of a web process, answered from what is known: a task looks at the stores beside the requests.

Whoever asks is answered at once, whatever hangs: load balancers would take every process out while a database that
pushes do not need keeps them waiting. Invariants: each look has a deadline; a look that is too old counts as bad news.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import psycopg
import redis
import redis.asyncio
from django.conf import settings
from django.db import connections

from delivery.log import backlog
from hpns.celery import lease
from tenants import redis_client, supervision
from tenants.directory.live import DIRECTORY

# Seconds between two looks, for a store to answer one, and after which what is known is no news any more.
LOOK_INTERVAL: Final = 1.0
LOOK_SECONDS: Final = 1.5
STALE_SECONDS: Final = 10.0
# Parameters of Django's connections that are no parameters of psycopg's asynchronous ones.
_DJANGOS_OWN: Final = ("context", "cursor_factory", "prepare_threshold")

Probe = Callable[[float], Awaitable[str]]


class Intake(Protocol):
    """The part of the outbox that readiness needs."""

    @property
    def ready(self) -> bool: ...


@dataclass
class Health:
    """Health report: what is missing for taking pushes, and what is amiss though pushes go on; both in plain words."""

    missing: list[str] = field(default_factory=list)
    amiss: list[str] = field(default_factory=list)
    workers: int = 0

    @property
    def ready(self) -> bool:
        """Whether a push would be taken, sent and answered now."""
        return not self.missing


def _check_workers(health: Health, states: dict[str, str]) -> None:
    """Count the workers that say that they can deliver; `states`: see lease.worker_states()."""
    problems = "; ".join(sorted({state for state in states.values() if state}))
    health.workers = list(states.values()).count("")
    if settings.CELERY_BROKER_URL != settings.REDIS_URL:
        return  # they need no leases, and have none
    if not states:
        health.missing.append("no worker is running: pushes would wait in the queue")
    elif not health.workers:
        health.missing.append(f"no worker can deliver: {problems}")
    elif problems:
        health.amiss.append(f"{len(states) - health.workers} of {len(states)} workers cannot deliver: {problems}")


class Observer:
    """Looks at what a web process needs, and says what it knows. One per process, on its loop."""

    def __init__(self, intake: Intake, probe_pages: Probe) -> None:
        """intake: the outbox; probe_pages: why there are no pages ("" for none), within so many seconds."""
        self._intake, self._probe_pages = intake, probe_pages
        self._valkey: redis.asyncio.Redis | None = None
        self._database: psycopg.AsyncConnection[Any] | None = None
        self._known = Health(missing=["the queue and the workers have not been looked at yet"])
        self._looked_at = 0.0

    def health(self) -> Health:
        """What is known now; waits for nothing."""
        missing, amiss = list(self._known.missing), list(self._known.amiss)
        if self._looked_at and time.monotonic() - self._looked_at > STALE_SECONDS:
            missing.append(f"the queue and the workers have not been looked at for {STALE_SECONDS:g} s")
        if not self._intake.ready:
            missing.append("this process has no connection to the queue (Valkey)")
        if not DIRECTORY.ready:
            missing.append(f"the directory of keys has not been read: {DIRECTORY.problem}")
        elif DIRECTORY.problem:
            amiss.append(f"the directory of keys is not fresh: {DIRECTORY.problem}")
        missing += supervision.failing(essential=True)
        amiss += supervision.failing(essential=False)
        return Health(missing, amiss, self._known.workers)

    async def observe(self) -> None:
        """Look again and again, until cancelled."""
        try:
            while True:
                health = Health()
                await asyncio.gather(
                    self._look_at_valkey(health), self._look_at_database(health), self._look_at_pages(health)
                )
                self._known, self._looked_at = health, time.monotonic()
                await asyncio.sleep(LOOK_INTERVAL)
        finally:
            await self._leave_database()

    async def _look_at_valkey(self, health: Health) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                if self._valkey is None:
                    self._valkey = redis.asyncio.Redis.from_url(
                        settings.REDIS_URL, **redis_client.options(LOOK_SECONDS)
                    )
                _check_workers(health, await lease.look_at_workers(self._valkey))
                if waiting := await backlog.describe(self._valkey):
                    health.amiss.append(waiting)
        except (redis.RedisError, TimeoutError, OSError) as error:
            health.missing.append(f"the queue (Valkey) does not answer: {type(error).__name__}")

    async def _look_at_database(self, health: Health) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                if self._database is None:
                    given = connections[settings.DIRECTORY_DATABASE].get_connection_params()
                    parameters = {name: value for name, value in given.items() if name not in _DJANGOS_OWN}
                    self._database = await psycopg.AsyncConnection.connect(**parameters, autocommit=True)
                found = await self._database.execute("SELECT to_regclass('delivery_delivery') IS NOT NULL")
                row = await found.fetchone()
        except (psycopg.Error, TimeoutError, OSError) as error:
            await self._leave_database()
            health.amiss.append(
                f"the database does not answer ({type(error).__name__}): pushes go on, pages and the log wait"
            )
        else:
            if not (row and row[0]):
                health.missing.append("the database has no tables yet: run manage.py migrate")

    async def _look_at_pages(self, health: Health) -> None:
        if problem := await self._probe_pages(LOOK_SECONDS):
            health.amiss.append(f"there are no pages: {problem}")

    async def _leave_database(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            await database.close()
