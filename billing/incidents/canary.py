"""The canary: a push every minute through the public address to each provider, and a look at the pages.

Its customer is the service's own (Customer.canary): its pushes are in its own figures, and in nobody else's, in no sum
of all customers, no metric of pushes and no bill. Results go into Valkey first and from there into PostgreSQL, so that
a PostgreSQL that is away leaves no gap. A push that did not come to good at once is looked up in the delivery log
afterwards: what was handed off within 60 seconds is good, and else the log says whose fault it was.
Invariant: a minute has one row for each provider, whoever runs it and however often; the first one stays.
"""

import json
import logging
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import urljoin

import redis
from django.conf import settings
from django.db import DatabaseError, transaction
from django.urls import reverse

from billing import customers
from billing.incidents import canary_state, devices
from billing.incidents.http_client import Request, Response, exchange
from billing.models import PAGES, CanaryMinute
from delivery.selectors import status as log
from tenants import keys, services
from tenants.audit import recording
from tenants.changes import Changed, notify_processes
from tenants.models import Customer, Server, ServerKey
from tenants.problem import ProblemError, first_line

logger = logging.getLogger(__name__)

MINUTE: Final = timedelta(minutes=1)
SLUG, NAME, SERVER = "canary", "Canary", "canary"
# Seconds for all of it: above the time in which a push has its answer, below the minute.
DEADLINE: Final = 12.0
# In Valkey: rows that wait for PostgreSQL, as JSON.
WAITING: Final = "canary:rows"
# Rows that wait at most: more than two days of them.
WAITING_MAX: Final = 10_000
# For how long the delivery log is asked about a push.
SETTLED_AFTER: Final = timedelta(minutes=15)
KEPT_MONTHS: Final = 25
# What the canary is refused at the door for when somebody has changed its own set-up: it says nothing of the service.
OWN: Final = frozenset(("suspended", "plain_http", "wrong_network", "revoked_key", "expired_key"))
Result = Literal["good", "bad", "missing"]
Send = Callable[[Sequence[Request], float], list[Response]]


def setup(*, offer: str = Customer.Offer.HPNS, slug: str = SLUG) -> Changed[Server]:
    """Make the canary's customer, its server and a key; the same again changes nothing. Raises ProblemError."""
    with transaction.atomic():
        there = Customer.objects.filter(canary=True).first()
        if there is None:
            there, made = customers.add(name=NAME, offer=offer, slug=slug)
            if not made:
                raise ProblemError(f"there is a customer {slug} already: give the canary another name with --slug")
            Customer.objects.filter(pk=there.pk).update(canary=True)
            recording.record("canary.set_up", customer=there, target=there.name)
            notify_processes(there.pk)
        server, _ = services.server_add(customer=there, name=SERVER)
        changed = _key(server) is None
        if changed:
            services.key_add(
                server=server,
                name="made of HASH_KEY",
                purpose=_purpose(server, ServerKey.objects.filter(server=server).count()),
            )
    return Changed(server, changed)


def key() -> str | None:
    """The text of the canary's key; None: it was not set up, or its keys were revoked."""
    server = Server.objects.filter(customer__canary=True, name=SERVER).first()
    return None if server is None else _key(server)


def _key(server: Server) -> str | None:
    made = ServerKey.objects.filter(server=server)
    prefixes = set(made.filter(ServerKey.in_use()).values_list("prefix", flat=True))
    for number in range(made.count()):
        text, prefix, _ = keys.derived_key(settings.HASH_KEY, _purpose(server, number))
        if prefix in prefixes:
            return text
    return None


def _purpose(server: Server, number: int) -> str:
    return f"canary {server.public_id} {number}"


def run(store: redis.Redis, send: Send = exchange) -> int:
    """Push and look for this minute, and note what came of it; how many rows. 0 where another has begun with it, or
    nothing is set up. Raises redis.RedisError, django.db.Error."""
    at = now_of(store).replace(second=0, microsecond=0)
    phones, text = devices.parse(settings.CANARY_DEVICES), _remembered()
    if text is None or not phones or not store.set(f"canary:{at:%Y%m%d%H%M}", 1, nx=True, ex=120):
        return 0
    pushes = [_push(phone, text) for phone in phones]
    requests = [request for _, request in pushes] + [Request("GET", public_url("home"))]
    responses = send(requests, DEADLINE)
    acks = [ack for ack, _ in pushes] + [""]
    families = [phone.family for phone in phones] + [PAGES]
    rows = [_row(at, family, ack, response) for family, ack, response in zip(families, acks, responses, strict=True)]
    with store.pipeline() as together:
        together.rpush(WAITING, *(json.dumps(row) for row in rows))
        together.ltrim(WAITING, -WAITING_MAX, -1)
        for row in rows:
            together.hset(canary_state.LAST, row["family"], canary_state.encode(at, good=row["good"], why=row["why"]))
        together.execute()
    write(store)
    return len(rows)


# The key as it was known when PostgreSQL was last there.
_known: dict[str, str | None] = {}


def _remembered() -> str | None:
    try:
        _known["key"] = key()
    except DatabaseError as error:
        logger.warning("the canary goes on with the key that it had: %s", first_line(error))
    return _known.get("key")


def now_of(store: redis.Redis) -> datetime:
    """The time by Valkey's clock, which all processes share: a worker's own may be set by anybody."""
    seconds, micros = store.time()
    return datetime.fromtimestamp(seconds + micros / 1e6, UTC)


def public_url(name: str) -> str:
    """The address of one of our pages as the canary reaches it: the public one, or the front door of this machine."""
    return urljoin(settings.PUBLIC_URL or settings.FRONT_DOOR, reverse(name))


def _push(phone: devices.CanaryDevice, key_text: str) -> tuple[str, Request]:
    ack_id = secrets.token_hex(13)
    # A push that shows nothing: it takes away what there was of a channel.
    body = {
        "ack_id": ack_id,
        "platform": phone.platform,
        "server_id": "hpns-canary",
        "device_id": phone.token,
        "type": "clear",
        "channel_id": "canary",
        "badge": 0,
        "version": "v2",
    }
    base = (settings.PUBLIC_URL or settings.FRONT_DOOR).rstrip("/")
    return ack_id, Request("POST", f"{base}/t/{key_text}/api/v1/send_push", json.dumps(body).encode())


def _row(at: datetime, family: str, ack_id: str, response: Response) -> dict[str, Any]:
    why = response.problem or _fault(response, is_push=bool(ack_id))
    # Told OK at its deadline, a push may be anywhere still.
    if not why and ack_id and response.seconds >= settings.PUSH_DEADLINE:
        why = "late"
    return {
        "at": at.isoformat(),
        "family": family,
        "good": not why,
        "why": why[:100],
        "whose": _whose(why),
        "ms": int(response.seconds * 1000),
        "ack_id": ack_id,
        "settled": not (why and ack_id and why not in OWN),
    }


def _whose(why: str) -> str:
    return "" if not why else "customer" if why in OWN else "ours"


def _fault(response: Response, *, is_push: bool) -> str:
    if response.status != 200:
        return f"status {response.status}"
    if not is_push:
        return ""
    try:
        answer = json.loads(response.body)
        status, error = str(answer.get("status")), str(answer.get("error", ""))
    except (ValueError, AttributeError):
        return "the answer is no push proxy's"
    if status == "OK":
        return ""
    return error.partition(" ")[0] or status.lower()


def write(store: redis.Redis) -> int:
    """Move the rows that wait in Valkey into PostgreSQL; how many. Raises redis.RedisError, django.db.Error."""
    waiting: list[Any] = store.lrange(WAITING, 0, -1)
    rows = []
    for each in waiting:
        try:
            row = CanaryMinute(**json.loads(each))
            row.at = datetime.fromisoformat(str(row.at))
        except (ValueError, TypeError):
            logger.exception("what an earlier version found by its canary cannot be read, and is left out")
        else:
            rows.append(row)
    CanaryMinute.objects.bulk_create(rows, ignore_conflicts=True)
    for each in waiting:
        store.lrem(WAITING, 1, each)
    return len(rows)


def settle(now: datetime) -> int:
    """Ask the delivery log about the last pushes that did not come to good at once; how many it knows."""
    known = 0
    for row in CanaryMinute.objects.filter(settled=False):
        end = log.ended(row.ack_id, row.at - MINUTE)
        if end is not None:
            row.good, row.ms = end.in_time, end.ms
            row.why, row.whose = ("", "") if end.in_time else (end.code, end.attribution)
            known += 1
        elif now - row.at < SETTLED_AFTER:
            continue
        row.settled = True
        row.save(update_fields=("good", "ms", "why", "whose", "settled"))
    return known


def minutes(start: datetime, end: datetime) -> dict[datetime, Result]:
    """What the canary says of each minute from `start` to before `end` (whole minutes): bad where one of its pushes
    failed by our doing, good where it went as far as we answer for, missing where nobody pushed."""
    found: dict[datetime, Result] = {}
    rows = CanaryMinute.objects.filter(at__gte=start, at__lt=end).exclude(family=PAGES)
    for at, good, whose in rows.order_by("at").values_list("at", "good", "whose"):
        if not good and whose == CanaryMinute.Whose.OURS:
            found[at] = "bad"
        else:
            found.setdefault(at, "good")
    steps = int((end - start) / MINUTE)
    return {at: found.get(at, "missing") for at in (start + MINUTE * number for number in range(steps))}


def began() -> datetime | None:
    """The first minute that is known of it; None before it has pushed."""
    return CanaryMinute.objects.exclude(family=PAGES).order_by("at").values_list("at", flat=True).first()


def forget(now: datetime) -> int:
    """Delete rows of more than 25 months ago; how many."""
    months = now.year * 12 + now.month - 1 - KEPT_MONTHS
    first = now.replace(year=months // 12, month=months % 12 + 1, day=1, hour=0, minute=0, second=0, microsecond=0)
    return CanaryMinute.objects.filter(at__lt=first).delete()[0]
