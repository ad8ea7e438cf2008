"""Troubles that are seen in the traffic: pushes that fail, requests that are rejected at the door, and silence."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, DateTimeField, Max, Min, QuerySet, Sum
from django.urls import reverse

from delivery.insight import silence
from delivery.insight.day import DAY, Day
from delivery.insight.providers import provider_standing
from delivery.insight.standing import percent
from delivery.insight.summary import Failure, capitalised, some_of
from delivery.insight.trouble import Severity, Trouble, listed, pushes_link
from delivery.rollups.reading import HOUR
from tenants.inventory import Inventory
from tenants.models import Customer, Rejection, Server, ServerKey
from tenants.prepared import Given, Prepared

# Causes of failures, servers and kinds of rejections that are spoken of one by one.
CAUSES_MOST: Final = 4
REJECTIONS_MOST: Final = 6
# Servers that are watched one by one; with more of them the customer is watched as a whole.
SERVERS_MOST: Final = 20
# The share of pushes from which on failing is no accident of single phones, and from which on nothing works.
MANY, MOST = 0.05, 0.5
ENOUGH: Final = 3

# By code: the sentence (with the names of servers, the addresses and the keys), and what to do.
_DOOR: Final[dict[str, tuple[str, str, str, str]]] = {
    "wrong_network": (
        "{server} pushes from {address}, which is none of its networks: each push is refused",
        "Add {address} to the server's networks, or revoke the key {key} if that is not yours.",
        "networks",
        "Change the networks",
    ),
    "revoked_key": (
        "{server} still sends with the revoked key {key}: each push is refused",
        "Enter a key that is in use in Mattermost.",
        "keys",
        "See its keys",
    ),
    "expired_key": (
        "{server} still sends with the key {key}, which has expired: each push is refused",
        "Make a new key and enter it in Mattermost.",
        "keys",
        "Make a key",
    ),
    "unknown_key": (
        "Requests from {address} with a key that is not known seem to be of {server} (the key begins as {key}, or the "
        "server ID or the network is its own): each is refused",
        "Copy the value for Mattermost's Push Notification Server setting again. If that is not your server, "
        "nothing got in.",
        "keys",
        "See its keys",
    ),
    "wrong_address": (
        "{server} sends its pushes to an address that is none, with the key {key} in it: each is refused",
        "Copy the value for Mattermost's Push Notification Server setting again: nothing may stand behind the key.",
        "keys",
        "See its keys",
    ),
    "two_keys": (
        "{server} sends two keys at once, {key} in the path and another one: each push is refused",
        "Leave one of them out of Mattermost's Push Notification Server setting.",
        "keys",
        "See its keys",
    ),
    "plain_http": (
        "{server} sends its key {key} over plain HTTP, where others can read it: each push is refused",
        "Begin Mattermost's Push Notification Server setting with https:// and use a new key.",
        "keys",
        "Make a key",
    ),
    "disabled_server": (
        "{server} is switched off here and still pushes: each push is refused",
        "Switch it on, or choose another Push Notification Server in its Mattermost.",
        "state",
        "See the server",
    ),
    "test_service_off": (
        "{server} pushes to the free test service, which is off: each push is refused",
        "Ask whoever operates this push service for a subscription.",
        "keys",
        "See the server",
    ),
    "malformed": (
        "Requests of {server} from {address} cannot be read",
        "Check what changes them on their way: a proxy or a firewall in between.",
        "door",
        "See where they come from",
    ),
    "too_large": (
        "Requests of {server} from {address} are larger than any push",
        "Check what sends them; nothing of Mattermost is that large.",
        "door",
        "See where they come from",
    ),
}


def of_failures(customer: Customer, day: Day, known: list[Trouble], query: dict[str, str]) -> Iterator[Trouble]:
    """What pushes failed by in the last 24 hours, but for what is `known` already with its code; `query`: the filters
    of the day as an address has them."""
    told: Counter[str] = Counter()
    for trouble in known:
        # What could not be read was counted at the door and has its rows all the same.
        told[trouble.code] += day.pushes if trouble.kind == "door" else trouble.count
    rest = [failure._replace(pushes=failure.pushes - told[failure.code]) for failure in day.counts.failures]
    rest = [failure for failure in rest if failure.pushes > 0]
    for failure in rest[:CAUSES_MOST]:
        yield _failure(customer, day, failure, query)
    others = rest[CAUSES_MOST:]
    if others:
        count = sum(failure.pushes for failure in others)
        yield Trouble(
            "failures",
            Severity.WARNING,
            f"{count:,} more of {day.pushes:,} pushes failed in the last 24 hours, for {len(others)} other reasons",
            None,
            "Their reasons say what to do.",
            pushes_link(customer.slug, outcome="failures", **query),
            "See these pushes",
            "",
            count=count,
        )


def _failure(customer: Customer, day: Day, failure: Failure, query: dict[str, str]) -> Trouble:
    count, run, meaning = failure.pushes, failure.run, failure.meaning
    recent = day.recent.get((failure.code, failure.attribution), 0)
    is_many = count >= ENOUGH and (count >= MANY * day.pushes or recent >= MANY * day.pushes_last_hour > 0)
    severity = Severity.FAILING if is_many else Severity.WARNING
    if recent >= ENOUGH and recent >= MOST * day.pushes_last_hour:
        severity = Severity.STOPPED
    advice = f"{capitalised(failure.advice)}."
    if recent and failure.attribution == "provider" and meaning and meaning.provider:
        advice = f"{_of_all(meaning.provider)} {advice}".strip()
    ended = "" if recent else ", none of them in the last hour"
    return Trouble(
        "failures",
        severity,
        f"{capitalised(some_of(count, day.pushes))} failed in the last 24 hours{ended}: {failure.cause}",
        run.first if run and recent else None,
        advice,
        pushes_link(customer.slug, code=failure.code, outcome="failures", **query),
        "See these pushes",
        failure.attribution,
        meaning.provider if meaning else "",
        count,
        code=failure.code,
        more=f" ({failure.code})",
    )


def _of_all(family: str) -> str:
    """That the provider fails others' pushes, too; "" where it does not, or they are too few."""
    standing = provider_standing(family)
    if not standing.is_the_provider:
        return ""
    share = percent(standing.theirs, up=True)
    return f"Others' pushes fail there, too: {share} of all customers' in the last {standing.span}."


def _rejections(since: Any, server: Server | None = None) -> "QuerySet[Any, Any]":
    """The rejections that are spoken of and one more, the latest first."""
    # Nothing is left to be done about one that was removed.
    rows = Rejection.objects.filter(last_at__gte=since, code__in=_DOOR, key__server__removed_at=None)
    if server is not None:
        rows = rows.filter(key__server=server)
        if server.disabled_at is not None:
            rows = rows.exclude(code="disabled_server")
    names = ("code", "key_id", "key__prefix", "key__server__name", "key__server__public_id", "key__server_id")
    sums = (
        rows.order_by()
        .values(*names)
        .annotate(
            requests=Sum("count"),
            first=Min("first_at"),
            last=Max("last_at"),
            places=Count("address"),
            address=Max("address"),
        )
    )
    latest: QuerySet[Any, Any] = sums.order_by("-last")[: REJECTIONS_MOST + 1]
    return latest


_REJECTIONS: Final = Prepared(lambda: _rejections(Given("since", DateTimeField())))


def of_door(customer: Customer, now: datetime, server: Server | None = None) -> Iterator[Trouble]:
    """Requests of the last day that were rejected at the door, or that could not be read, by server, key and code."""
    shown = _REJECTIONS.rows(since=now - DAY) if server is None else list(_rejections(now - DAY, server))
    used = ServerKey.objects.filter(server_id__in={row["key__server_id"] for row in shown}).order_by()
    last_good = dict(used.values("server_id").annotate(at=Max("last_used_at")).values_list("server_id", "at"))
    for row in shown[:REJECTIONS_MOST]:
        yield _rejection(customer, row, last_good.get(row["key__server_id"]), now)
    if len(shown) > REJECTIONS_MOST:
        yield Trouble(
            "door",
            Severity.WARNING,
            "Requests with other keys of yours are refused, too",
            None,
            "The pages of your servers say which.",
            reverse("servers", args=(customer.slug,)),
            "See your servers",
        )


def _rejection(customer: Customer, row: dict[str, Any], last_good: datetime | None, now: datetime) -> Trouble:
    sentence, what_to_do, part, action = _DOOR[row["code"]]
    address = row["address"] or "an address that is not known"
    if row["places"] > 1:
        address = f"{row['places']} addresses, such as {row['address']}"
    details = {"server": row["key__server__name"], "address": address, "key": f"hk_{row['key__prefix']}"}
    # As long as good pushes come besides, it is a second server, or a stranger.
    is_only = last_good is None or last_good < row["last"] - timedelta(minutes=5)
    severity = Severity.WARNING
    if is_only and row["code"] not in ("malformed", "too_large"):
        severity = Severity.STOPPED if row["last"] >= now - HOUR else Severity.FAILING
    count = int(row["requests"])
    page = reverse("server", args=(customer.slug, row["key__server__public_id"]))
    return Trouble(
        "door",
        severity,
        sentence.format(**details),
        row["first"],
        what_to_do.format(**details),
        f"{page}#{part}",
        action,
        count=count,
        code=row["code"],
        more=f", {count:,} so far ({row['code']})",
    )


def of_silence(
    customer: Customer, inventory: Inventory, now: datetime, server: Server | None = None
) -> Iterator[Trouble]:
    """Servers that pushed as a habit and are silent; of a customer with many servers, whether all of them are."""
    rows = inventory.servers_in_use if server is None else [server] if server.disabled_at is None else []
    names = {row.pk: row.name for row in rows}
    if len(names) > SERVERS_MOST:
        names = {0: customer.name}
    if not names:
        return
    hours = silence.last_pushes(now, None if 0 in names else list(names))
    missed = {pk: seen[-1] for pk, seen in hours.items() if silence.silent(seen, now)}
    if not missed:
        return
    latest, hour = max(missed.items(), key=lambda pair: pair[1])
    pk = latest if len(missed) == 1 else 0
    public_id = next((row.public_id for row in rows if row.pk == pk), None)
    yield Trouble(
        "silence",
        Severity.FAILING,
        f"Nothing has come from {listed([names[each] for each in missed])}",
        silence.last_minute(hour, latest),
        "Send a message to somebody who is offline. If nothing comes then, look at Mattermost's log, at its Push "
        "Notification Server setting, and at what lies between it and this service.",
        reverse("server", args=(customer.slug, public_id)) if public_id else reverse("servers", args=(customer.slug,)),
        "See the server" if public_id else "See your servers",
    )
