"""Fills a migrated database with a grown service's rows: customers, the log by day, receipts, the rollups,
and the tables of devices.

A day's table is filled before it becomes a partition, so that its indexes are made at once and not row by row.
Progress is told by `say`. Raises django.db.Error.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from django.db import connection, transaction
from psycopg import sql

from delivery.devices import counting, facts, platforms
from delivery.log import partitions
from delivery.log.rows import COLUMNS
from delivery.rollups import compacting
from tenants.models import Credential, Customer, Entitlement, PushApp, Server, ServerKey
from tests.bench.growth.lines import RECEIPT_COLUMNS, Lines, Tenant, Writer
from tests.bench.growth.plan import DAY, Day, Plan

Say = Callable[[str], None]

SERVERS_OF_THE_LARGEST: Final = 40
ROLLUPS: Final = (
    "delivery_minute",
    "delivery_hour",
    "delivery_day",
    "delivery_service_minute",
    "delivery_service_hour",
)
DEVICES: Final = ("delivery_device", "delivery_active_device", "delivery_device_count", "delivery_platform_sighting")
# Those of all customers together, which come in both units at once.
_OF_ALL: Final = ("delivery_service_minute", "delivery_service_hour")
# Lines that are handed to psycopg together.
CHUNK: Final = 5_000


def make_tenants(plan: Plan) -> list[Tenant]:
    """The customers, the largest first, each with its servers, keys and the apps of its pushes."""
    shared = {
        "apns": PushApp.objects.create(label="apple_rn", topic="com.example", family="apns", host="production"),
        "fcm": PushApp.objects.create(label="android_rn", topic="com.example", family="fcm"),
    }
    kinds = {"apns": "apns_key", "fcm": "fcm_account"}
    for family, app in shared.items():
        Credential.objects.create(app=app, kind=kinds[family], sealed="v1:x", key_id=f"SHARED{family.upper()}")
    weights = plan.weights()
    customers = Customer.objects.bulk_create(
        Customer(name=_name(place), slug=f"grown-{place}", offer="eas" if place % 10 == 0 else "hpns")
        for place in range(plan.customers)
    )
    Entitlement.objects.bulk_create(Entitlement(customer=customer, may_use_shared=True) for customer in customers)
    counts = [max(1, round(SERVERS_OF_THE_LARGEST * weight / weights[0])) for weight in weights]
    servers = Server.objects.bulk_create(
        Server(customer=customer, name=f"chat{number}.grown-{place}.example")
        for place, customer in enumerate(customers)
        for number in range(counts[place])
    )
    keys = ServerKey.objects.bulk_create(
        ServerKey(server=server, prefix=f"{number:08d}", digest=number.to_bytes(32, "big"), last_used_at=plan.end)
        for number, server in enumerate(servers)
    )
    own = _own_apps(customers, kinds)
    found: dict[int, list[tuple[int, int]]] = {}
    for server, key in zip(servers, keys, strict=True):
        found.setdefault(server.customer_id, []).append((server.pk, key.pk))
    theirs = {family: app.pk for family, app in shared.items()}
    return [Tenant(customer.pk, found[customer.pk], own.get(customer.pk, theirs)) for customer in customers]


def _name(place: int) -> str:
    return "Largest Industries" if place == 0 else f"Customer {place} with a name of usual length"


def _own_apps(customers: list[Customer], kinds: dict[str, str]) -> dict[int, dict[str, int]]:
    """Apps and credentials of those who have their own."""
    owners = [customer for customer in customers if customer.offer == "eas"]
    apps = PushApp.objects.bulk_create(
        PushApp(
            customer=customer,
            label="apple_own" if family == "apns" else "android_own",
            topic=f"com.{customer.slug}",
            family=family,
            host="production" if family == "apns" else "",
        )
        for customer in owners
        for family in kinds
    )
    Credential.objects.bulk_create(
        Credential(app=app, kind=kinds[app.family], sealed="v1:x", key_id=f"KEY{app.pk}") for app in apps
    )
    found: dict[int, dict[str, int]] = {}
    for app in apps:
        assert app.customer_id is not None
        found.setdefault(app.customer_id, {})[app.family] = app.pk
    return found


def fill(plan: Plan, say: Say, *, at_once: bool = False) -> list[Tenant]:
    """Make everything that the plan says. at_once: load a day while the next one is made, on a connection of its own
    (which no test's transaction allows)."""
    began = time.monotonic()
    tenants = make_tenants(plan)
    writer = Writer(tenants, plan.weights(), plan.devices(), plan.seed)
    _merged_by_default(True)
    with ThreadPoolExecutor(1) as pool:
        loading: list[Future[None]] = []
        made = 0
        for number, day in enumerate(plan.days_of(), 1):
            lines = writer.day(day)
            for each in loading:
                each.result()
            if at_once:
                loading = [pool.submit(load, day, lines)]
            else:
                load(day, lines)
            made += day.rows
            if number % 5 == 0 or number == plan.days:
                say(f"{made:,} rows of {number} days after {time.monotonic() - began:.0f} s")
        for each in loading:
            each.result()
        if at_once:
            pool.submit(lambda: connection.close()).result()  # noqa: PLW0108  that thread's
    _merged_by_default(False)
    say(f"Devices, after {time.monotonic() - began:.0f} s")
    fill_devices(plan)
    analyze()
    say(f"Filled after {time.monotonic() - began:.0f} s")
    return tenants


def load(day: Day, lines: Lines) -> None:
    """Copy a day's lines and counts, in one transaction."""
    monthly = (partitions.MINUTES, partitions.HOURS, partitions.DAYS)
    partitions.make_partitions(day.start.date(), 0, (partitions.RECEIPTS, *monthly))
    with transaction.atomic(), connection.cursor() as cursor:
        _load_partition(cursor, partitions.LOG, COLUMNS, day, lines.log)
        _copy(cursor, sql.Identifier(partitions.RECEIPTS.table), RECEIPT_COLUMNS, lines.receipts)
        lines.counts.write(cursor)
        compacting.close_customer(cursor, None)
        compacting.make_days(cursor, *partitions.LOG.bounds(day.start.date()))
        cursor.execute("TRUNCATE delivery_written_minute, delivery_matched_receipt")  # for fill_devices()


def fill_devices(plan: Plan) -> None:
    """What the timetable would have taken in minute by minute, at once: a device's row is written once, then."""
    start, end = plan.days_of()[0].start, plan.days_of()[-1].start + DAY
    with transaction.atomic(), connection.cursor() as cursor:
        facts.add(cursor, start, end)
        platforms.add(cursor, start, end)
    counting.count_active()


def _merged_by_default(merged: bool) -> None:
    """Whether rows that come into the rollups of all customers are taken for merged: a day's counts come once, each
    cell in one row, as compaction would leave them."""
    with connection.cursor() as cursor:
        for table in _OF_ALL:
            cursor.execute(f"ALTER TABLE {table} ALTER COLUMN merged SET DEFAULT {merged}")


def _load_partition(
    cursor: Any, table: partitions.Partitioned, columns: tuple[str, ...], day: Day, lines: list[bytes]
) -> None:
    name = table.name(day.start.date())
    cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
    new, whole = sql.Identifier(name), sql.Identifier(table.table)
    if cursor.fetchone()[0]:
        _copy(cursor, new, columns, lines)
        return
    cursor.execute(sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS)").format(new, whole))
    _copy(cursor, new, columns, lines)
    bounds = map(sql.Literal, table.bounds(day.start.date()))
    cursor.execute(
        sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(whole, new, *bounds)
    )


def _copy(cursor: Any, table: sql.Identifier, columns: tuple[str, ...], lines: list[bytes]) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    with cursor.cursor.copy(sql.SQL("COPY {} ({}) FROM STDIN").format(table, names)) as copy:
        for start in range(0, len(lines), CHUNK):
            copy.write(b"".join(lines[start : start + CHUNK]))


def analyze() -> None:
    """What autovacuum does in time: statistics, and the map of what everybody may see."""
    tables = ("delivery_delivery", "delivery_receipt", *ROLLUPS, *DEVICES, "tenants_customer", "tenants_server")
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '60s'")  # autovacuum may be at the same
        for name in tables:
            vacuum = "ANALYZE" if connection.in_atomic_block else "VACUUM (ANALYZE)"
            cursor.execute(sql.SQL(vacuum + " {}").format(sql.Identifier(name)))
