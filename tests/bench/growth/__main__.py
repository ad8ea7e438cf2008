"""One step of a growth run, inside the service's environment: `python -m tests.bench.growth fill|pages|pace PLAN OUT`.

PLAN and OUT are JSON on the disk; what the step has found is added to OUT. The parent (run.py) starts each with the
role that it needs.
"""

import sys
import time
from pathlib import Path

import django
import msgspec

django.setup()

from django.db import connection

import hpns.celery  # noqa: F401  the app that the tasks belong to
from tests.bench.growth import filling, pace, pages, people
from tests.bench.growth.lines import Tenant
from tests.bench.growth.plan import Plan
from tests.bench.growth.report import Growth, load, save

TABLES = ("delivery_delivery", "delivery_receipt", "delivery_minute", "delivery_hour", "delivery_service_minute")
# A small customer: one of the many.
SMALL = 0.5


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


def slugs(plan: Plan) -> dict[str, str]:
    """The customers whose pages are looked at."""
    return {"large": "grown-0", "small": f"grown-{int(plan.customers * SMALL)}"}


STEPS = {"fill": fill, "pages": look, "pace": keep_pace}


def main() -> int:
    """The step; its exit code."""
    step, plan, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    task = msgspec.json.decode(plan.read_bytes(), type=Task)
    found = load(out)
    STEPS[step](task, found)
    plan.write_bytes(msgspec.json.encode(task))
    save(found, out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
