"""Readiness of a web process, answered from what is known: a task looks at the stores beside the requests.

Whoever asks is answered at once, whatever hangs: load balancers would take every process out while a database that
pushes do not need keeps them waiting. Invariants: each look has a deadline; a look that is too old counts as bad news,
and takes no process out unless it is the one at what pushes need; no look waits for another, for what ends one
(psycopg's cancelling) may take its time, too.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

import psycopg
from django.conf import settings
from django.db import connections

from billing.incidents import canary_state
from delivery.log import backlog
from delivery.queue import timetable, valkey
from hpns.celery import commands, lease
from tenants import supervision
from tenants.directory.live import DIRECTORY
from tenants.ticks import tick

# Seconds between two looks; and at what keeps no push from being taken, when nobody has asked for ASKED_SECONDS.
LOOK_INTERVAL, IDLE_INTERVAL, ASKED_SECONDS = 1.0, 5.0, 30.0
# Seconds for a store to answer a look, and after which what is known is no news any more.
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
    has_heartbeat: bool = True

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
    # What the web processes send themselves needs a worker only when they fail, and to be written down.
    news = health.amiss if settings.DELIVER_FROM == "web" else health.missing
    if not states and settings.DELIVER_FROM == "web":
        news.append("no worker is running: nothing is written to the delivery log, and nobody takes pushes over")
    elif not states:
        news.append("no worker is running: pushes would wait in the queue")
    elif not health.workers:
        news.append(f"no worker can deliver: {problems}")
    elif problems:
        health.amiss.append(f"{len(states) - health.workers} of {len(states)} workers cannot deliver: {problems}")


class _Look:
    """One of the looks that are repeated: what was found, and when it ended (0.0: not yet). `of_missing`: its age keeps
    pushes from being taken."""

    def __init__(self, what: str, look: Callable[[Health], Awaitable[None]], *, of_missing: bool) -> None:
        self.what, self.look, self.of_missing = what, look, of_missing
        self.found, self.at = Health(), 0.0
        self.asked_at = time.monotonic()

    def known(self) -> Health:
        """What was found, its age included."""
        self.asked_at = time.monotonic()
        known = Health(list(self.found.missing), list(self.found.amiss), self.found.workers)
        news = known.missing if self.of_missing else known.amiss
        if not self.at:
            news.append(f"{self.what} have not been looked at yet")
        elif time.monotonic() - self.at > STALE_SECONDS:
            news.append(f"{self.what} have not been looked at for {STALE_SECONDS:g} s")
        return known

    async def repeat(self) -> None:
        """Look again and again, until cancelled: also where a library's call keeps the cancellation to itself."""
        current = asyncio.current_task()
        while current is not None and not current.cancelling():
            health = Health()
            await self.look(health)
            self.found, self.at = health, time.monotonic()
            await tick(LOOK_INTERVAL if self.of_missing else _interval(self.asked_at))


def _interval(asked_at: float) -> float:
    """Seconds until the next look, where somebody asked at `asked_at` for the last time."""
    return LOOK_INTERVAL if time.monotonic() - asked_at < ASKED_SECONDS else IDLE_INTERVAL


class Observer:
    """Looks at what a web process needs, and says what it knows. One per process, on its loop."""

    def __init__(self, intake: Intake, probe_pages: Probe) -> None:
        """intake: the outbox; probe_pages: why there are no pages ("" for none), within so many seconds."""
        self._intake, self._probe_pages = intake, probe_pages
        self._valkey: valkey.Link | None = None
        self._database: psycopg.AsyncConnection[Any] | None = None
        self._at_valkey = _Look("the queue and the workers", self._look_at_valkey, of_missing=True)
        self._looks = (
            self._at_valkey,
            _Look("the database's tables", self._look_at_database, of_missing=False),
            _Look("the pages", self._look_at_pages, of_missing=False),
        )

    def health(self) -> Health:
        """What is known now; waits for nothing."""
        missing: list[str] = []
        amiss: list[str] = []
        for look in self._looks:
            known = look.known()
            missing += known.missing
            amiss += known.amiss
        if not self._intake.ready:
            missing.append("this process has no connection to the queue (Valkey)")
        if not DIRECTORY.ready:
            missing.append(f"the directory of keys has not been read: {DIRECTORY.problem}")
        elif DIRECTORY.problem:
            amiss.append(f"the directory of keys is not fresh: {DIRECTORY.problem}")
        missing += supervision.failing(essential=True)
        amiss += supervision.failing(essential=False)
        return Health(missing, amiss, self._at_valkey.found.workers)

    def has_worker(self) -> bool:
        """Whether a worker takes pushes from the queue, as far as is known: of another broker nothing is."""
        if settings.CELERY_BROKER_URL != settings.REDIS_URL or not self._at_valkey.at:
            return True
        found = self._at_valkey.found
        return found.workers > 0 and found.has_heartbeat

    async def observe(self) -> None:
        """Look again and again, until cancelled."""
        tasks = [
            supervision.supervise(f"the look at {look.what}", look.repeat, essential=look.of_missing)
            for look in self._looks
        ]
        try:
            await asyncio.wait(tasks)
        finally:
            for task in tasks:
                task.cancel()
            if self._valkey is not None:
                self._valkey.close()
            await self._leave_database()

    async def _look_at_valkey(self, health: Health) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                if self._valkey is None:
                    self._valkey = valkey.Link(settings.REDIS_URL, name="readiness", timeout=LOOK_SECONDS)
                await self._valkey.start()
                ask = partial(commands.ask, self._valkey)
                (states, health.has_heartbeat), waiting, still, canaries = await asyncio.gather(
                    lease.look_at_workers(self._valkey),
                    backlog.describe(ask),
                    timetable.describe(ask),
                    canary_state.look(ask),
                )
                _check_workers(health, states)
                health.amiss += filter(None, (waiting, still, canary_state.describe(*canaries)))
        except (TimeoutError, OSError) as error:
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
