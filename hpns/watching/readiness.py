"""Readiness of this web process and its dependencies, for /health/ready and the status line of the pages."""

import time
from dataclasses import dataclass, field
from typing import Protocol

import redis
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from delivery.log import backlog
from hpns.celery.transport import LEASE_SECONDS
from tenants import supervision
from tenants.directory.live import DIRECTORY


class Intake(Protocol):
    """The part of the outbox that readiness needs."""

    @property
    def ready(self) -> bool: ...


# The outbox of this process, set by asgi.py; None in processes that have none (management commands, tests).
outbox: Intake | None = None


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


def workers(valkey: redis.Redis) -> int:
    """The number of workers with a recent heartbeat. Raises RedisError."""
    return int(valkey.zcount("workers", int(valkey.time()[0]) - LEASE_SECONDS, "+inf"))


def check() -> Health:
    """Check everything that a push needs; takes at most a few seconds when a store does not answer."""
    health = Health()
    if outbox is not None and not outbox.ready:
        health.missing.append("this process has no connection to the queue (Valkey)")
    if not DIRECTORY.ready:
        health.missing.append(f"the directory of keys has not been read: {DIRECTORY.problem}")
    elif DIRECTORY.problem:
        health.amiss.append(f"the directory of keys is not fresh: {DIRECTORY.problem}")
    health.missing += supervision.failing(essential=True)
    health.amiss += supervision.failing(essential=False)
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as valkey:
            health.workers = workers(valkey)
            if not health.workers and settings.CELERY_BROKER_URL == settings.REDIS_URL:
                health.missing.append("no worker is running: pushes would wait in the queue")
            if waiting := backlog.describe(valkey):
                health.amiss.append(waiting)
    except redis.RedisError as error:
        health.missing.append(f"the queue (Valkey) does not answer: {type(error).__name__}")
    started = time.monotonic()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('delivery_delivery') IS NOT NULL")
            if not cursor.fetchone()[0]:
                health.missing.append("the database has no tables yet: run manage.py migrate")
    except DatabaseError as error:
        health.amiss.append(
            f"the database does not answer ({type(error).__name__} after {time.monotonic() - started:.1f} s): "
            "pushes go on, pages and the log wait"
        )
    return health
