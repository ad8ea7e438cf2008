"""The steps of a growth run, each inside the service's environment and in the role that it needs (see run.py)."""

import time
from collections.abc import Callable
from typing import Final

import msgspec
from django.db import connection

from delivery.rollups import compacting
from tests.bench.growth import filling, pace, pages, people
from tests.bench.growth.lines import Tenant
from tests.bench.growth.plan import Plan
from tests.bench.growth.report import Growth

TABLES: Final = (
    *("delivery_delivery", "delivery_receipt", "delivery_minute", "delivery_hour", "delivery_service_minute"),
    "delivery_device",
)
COMPACTIONS_MOST: Final = 10
# A small customer: one of the many.
SMALL: Final = 0.5


class Task(msgspec.Struct):
    """What the parent asks for."""

    plan: Plan
    times: int
    feed: int
    tenants: list[Tenant] = []


def say(line: str) -> None:
    """One line to whoever waits."""
    print(line, flush=True)


def fill(task: Task, found: Growth) -> None:
    """As the owner of the tables."""
    began = time.monotonic()
    task.tenants = filling.fill(task.plan, say, at_once=True)
    people.make(list(slugs(task.plan).values()))
    found.fill_seconds = time.monotonic() - began
    found.rows = task.plan.rows
    with connection.cursor() as cursor:
        for name in TABLES:
            cursor.execute(
                "SELECT coalesce(sum(pg_total_relation_size(relid)), 0)::bigint FROM pg_partition_tree(%s)", [name]
            )
            found.tables[name] = cursor.fetchone()[0]
        cursor.execute("SELECT pg_database_size(current_database())")
        found.disk_bytes = cursor.fetchone()[0]


def look(task: Task, found: Growth) -> None:
    """As the pages' role."""
    found.pages = []
    for who, slug in slugs(task.plan).items():
        asks = pages.of_customer(slug, pages.pushes_of(slug))
        found.pages += pages.measure(people.owner_of(slug), who, asks, task.times, say)
    slug = slugs(task.plan)["large"]
    asks = pages.of_staff(slug, pages.pushes_of(slug))
    found.pages += pages.measure(people.somebody_of_the_staff(), "staff", asks, task.times, say)


def keep_pace(task: Task, found: Growth) -> None:
    """As the worker's role."""
    with pace.connect() as store:
        pace.write_all(store)
        pace.feed(store, task.tenants, task.plan, task.feed)
        written = pace.write_all(store)
        found.rows_per_second = written.lines / written.seconds
        found.writer_cpu_us = written.cpu / written.lines * 1e6
        dropped = pace.drop_oldest(store, task.tenants, task.plan)
        found.drop_seconds, found.writes_meanwhile, found.longest_write_ms = dropped
    # As the timetable does each minute: pages that read what was never merged would be measured else.
    for _ in range(COMPACTIONS_MOST):
        if not compacting.compact():
            break


def slugs(plan: Plan) -> dict[str, str]:
    """The customers whose pages are looked at."""
    return {"large": "grown-0", "small": f"grown-{int(plan.customers * SMALL)}"}


STEPS: Final[dict[str, Callable[[Task, Growth], None]]] = {"fill": fill, "pages": look, "pace": keep_pace}
