"""What is wrong for a customer at the moment, the worst first: for every page, so that none is green while pushes fail.

    for trouble in troubles(customer): ...           # in the customer's scope
    troubles(customer, server=row)                   # of one server, and what stops all of them
    troubles(customer, app=row)

Some ten queries, none of which reads the log.
"""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from django.utils import timezone

from delivery.insight import day as days
from delivery.insight import (
    pausing_troubles,
    proof_troubles,
    refusing_troubles,
    remove_troubles,
    setup_troubles,
    traffic_troubles,
)
from delivery.insight.day import Day
from delivery.insight.summary import some_of
from delivery.insight.trouble import Severity, Trouble
from delivery.rollups.reading import counted
from tenants.inventory import Inventory
from tenants.models import Customer, PushApp, Rejection, Server

__all__ = ["Severity", "Trouble", "troubles"]

# What says why pushes fail comes before what says that they do.
_ORDER: Final = (
    "suspended",
    "not_entitled",
    "subscription",
    "provider_refuses",
    "credential_paused",
    "credential_refused",
    "credential_ended",
    "no_credential",
    "stock_app",
    "no_key",
    "leaked_key",
    "door",
)


def troubles(
    customer: Customer,
    *,
    server: Server | None = None,
    app: PushApp | None = None,
    day: Day | None = None,
    now: datetime | None = None,
    inventory: Inventory | None = None,
) -> list[Trouble]:
    """The troubles of a customer, in its scope, the worst first; of one server or app only, with what stops all.

    day: its last 24 hours with the same filters, if they were read already (delivery/insight/day.py); inventory: its
    servers and apps, if the page has them.
    """
    now = now or timezone.now()
    inventory = inventory or Inventory()
    filters, query = _filters(server, app)
    day = day or days.read(now, **filters)
    found = [_with_requests(trouble, server, now, day) for trouble in setup_troubles.of_agreement(customer)]
    stopped = bool(found)
    if server is None:
        apps = list(setup_troubles.of_apps(customer, inventory, now, app, taking=day.taking))
        found += _with_counts(apps, day, filters)
        found += remove_troubles.of_removes(customer, app)
        found += refusing_troubles.of_providers(customer, inventory, app)
        found += pausing_troubles.of_breakers(customer, inventory, app)
    if app is None:
        found += setup_troubles.of_keys(customer, inventory, server)
        found += proof_troubles.of_proofs(customer, now, server)
        found += traffic_troubles.of_door(customer, now, server)
        if not stopped:
            found += traffic_troubles.of_silence(customer, inventory, now, server)
    found += traffic_troubles.of_failures(customer, day, found, query)
    return sorted(found, key=lambda trouble: (-trouble.severity, _place(trouble.kind), -trouble.count))


def _place(kind: str) -> int:
    return _ORDER.index(kind) if kind in _ORDER else len(_ORDER)


def _filters(server: Server | None, app: PushApp | None) -> tuple[dict[str, Any], dict[str, str]]:
    filters: dict[str, Any] = {}
    query: dict[str, str] = {}
    if server is not None:
        filters["server_id"], query["server"] = server.pk, str(server.public_id)
    if app is not None:
        filters["app_id"], query["app"] = app.pk, str(app.pk)
    return filters, query


def _with_requests(trouble: Trouble, server: Server | None, now: datetime, day: Day) -> Trouble:
    """The same, with how many requests were refused for it in the last day; what was read has its rows instead."""
    if pushes := sum(failure.pushes for failure in day.counts.failures if failure.code == trouble.code):
        return replace(trouble, more=f": {pushes:,} in the last 24 hours", count=pushes)
    rows = Rejection.objects.filter(code=trouble.code, last_at__gte=now - days.DAY)
    if server is not None:
        rows = rows.filter(key__server=server)
    count = sum(rows.values_list("count", flat=True))
    if not count:
        return trouble
    return replace(trouble, more=f", {count:,} so far", count=count)


def _with_counts(apps: list[Trouble], day: Day, filters: dict[str, Any]) -> list[Trouble]:
    """The same, with how many pushes of the last 24 hours failed for each."""
    codes = {trouble.code for trouble in apps if trouble.code} & {failure.code for failure in day.counts.failures}
    if not codes:
        return apps
    lookups = {"app_id__in": [trouble.app_id for trouble in apps], **filters, "code__in": codes}
    rows = counted(day.start, day.end, by=("app_id", "code"), **lookups)
    sums = Counter({(row.of["app_id"], row.of["code"]): row.pushes for row in rows})
    return [_with_count(trouble, sums[trouble.app_id, trouble.code], day) for trouble in apps]


def _with_count(trouble: Trouble, count: int, day: Day) -> Trouble:
    if not count:
        return trouble
    more = f": {some_of(count, day.pushes)} failed in the last 24 hours{trouble.more}"
    return replace(trouble, more=more, count=count)
