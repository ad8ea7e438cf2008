"""The fuse for credentials: many that are refused within minutes, of several customers, are their provider's incident.

Each credential that a provider refuses is noted in Valkey for WINDOW seconds, at once; whatever follows from a refusal
(it is marked, the other one signs, people are written to) waits for HOLD seconds, and comes to nothing in an incident:
what is still refused after that is refused, and reported again by its next push. Without Valkey there is no
fuse, and a refusal is what it was.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple, cast

import redis

from tenants.models import PushApp
from tenants.providers.table import PROVIDERS

logger = logging.getLogger(__name__)

# More credentials than this, of so many customers at least, within so many seconds: of as many keys that belong to
# different people not one more is revoked in five minutes by chance, and one customer's key may be in many apps.
CREDENTIALS: Final = 5
CUSTOMERS: Final = 3
WINDOW: Final = 300
# Seconds between a refusal and what follows from it: with an incident, others come within them.
HOLD: Final = 5.0
# Credentials that are noted of a provider at a time.
MOST: Final = 1_000


class Refusal(NamedTuple):
    """A credential of an app that a provider of this family refuses."""

    family: str
    app_id: int
    credential_id: int


class Incident(NamedTuple):
    """That a provider refuses so many credentials of so many customers; since: unix seconds, of Valkey's clock."""

    family: str
    credentials: int
    customers: int
    since: float


def note(store: redis.Redis, refusals: Iterable[Refusal]) -> None:
    """Note refused credentials. Blocks; raises redis.RedisError and django.db.Error."""
    refused = list(refusals)
    owners = dict(PushApp.objects.filter(pk__in=[each.app_id for each in refused]).values_list("pk", "customer_id"))
    members: dict[str, dict[str, float]] = {}
    now = _now(store)
    for each in refused:
        if each.app_id in owners:
            members.setdefault(each.family, {})[f"{owners[each.app_id] or 0}:{each.credential_id}"] = now
    for family, noted in members.items():
        name, pipe = _name(family), store.pipeline(transaction=False)
        pipe.zadd(name, noted)
        pipe.zremrangebyrank(name, 0, -MOST - 1)
        pipe.expire(name, WINDOW)
        pipe.execute()
        current(store, family)


def current(store: redis.Redis, family: str) -> Incident | None:
    """The incident of a provider, None where there is none. Blocks; raises redis.RedisError."""
    name, now = _name(family), _now(store)
    members = cast("list[bytes]", store.zrangebyscore(name, now - WINDOW, "+inf"))
    customers = {member.partition(b":")[0] for member in members}
    if len(members) <= CREDENTIALS or len(customers) < CUSTOMERS:
        if store.delete(since_key(family)):
            logger.warning("%s refuses few credentials again: what it refuses from now on is marked", _called(family))
        return None
    if store.set(since_key(family), now, nx=True, ex=WINDOW):
        logger.critical(
            "%s refuses %d credentials of %d customers: nothing is marked as refused, no credential takes another's "
            "place, and nobody is written to",
            *(_called(family), len(members), len(customers)),
        )
    else:
        store.expire(since_key(family), WINDOW)
    return Incident(family, len(members), len(customers), float(store.get(since_key(family)) or now))


def all_current(store: redis.Redis) -> Mapping[str, Incident]:
    """The incidents of all providers, by family. Blocks; raises redis.RedisError."""
    found = {family: current(store, family) for family in PROVIDERS}
    return {family: incident for family, incident in found.items() if incident is not None}


def since_key(family: str) -> str:
    """The key that is there while a provider has an incident: since when."""
    return f"{_name(family)}:since"


def _name(family: str) -> str:
    return f"credentials:refused:{family}"


def _called(family: str) -> str:
    return PROVIDERS[family].name if family in PROVIDERS else family


def _now(store: redis.Redis) -> float:
    seconds, microseconds = store.time()
    return seconds + microseconds / 1e6
