"""The fuse for credentials: many that are refused within minutes, of several customers, are their provider's incident.

Each credential that a provider refuses is noted in Valkey for WINDOW seconds, at once; whatever follows from a refusal
(it is marked, the other one signs, people are written to) waits for HOLD seconds, and comes to nothing in an incident:
what is still refused after that is refused, and reported again by its next push. One that was marked long before is
noted no more, for keys that nobody mends are refused with each of their pushes. Without Valkey there is no fuse, and a
refusal is what it was.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple, cast

import redis

from tenants import redis_client
from tenants.models import Credential, PushApp
from tenants.problem import first_line
from tenants.providers.table import PROVIDERS

logger = logging.getLogger(__name__)

# More credentials than this, of so many customers at least, within so many seconds: of as many keys that belong to
# different people not one more is revoked in five minutes by chance, and one customer's key may be in many apps.
CREDENTIALS: Final = 5
CUSTOMERS: Final = 3
WINDOW: Final = 300
# Seconds between a refusal and what follows from it: with an incident, others come within them.
HOLD: Final = 5.0
# Seconds for Valkey's answers.
STORE_TIMEOUT: Final = 2.0
# Credentials that are noted of a provider at a time.
MOST: Final = 1_000


class Refusal(NamedTuple):
    """A credential of an app that a provider of this family refuses; at: when it did, in unix seconds, 0 for now."""

    family: str
    app_id: int
    credential_id: int
    at: float = 0.0


class Incident(NamedTuple):
    """That a provider refuses so many credentials of so many customers; begun, since: when the first was refused, and
    when it was known, in unix seconds of Valkey's clock."""

    family: str
    credentials: int
    customers: int
    since: float
    begun: float = 0.0


def note(store: redis.Redis, refusals: Iterable[Refusal]) -> None:
    """Note refused credentials. Blocks; raises redis.RedisError and django.db.Error."""
    refused = list(refusals)
    owners = dict(PushApp.objects.filter(pk__in=[each.app_id for each in refused]).values_list("pk", "customer_id"))
    now = _now(store)
    for family in dict.fromkeys(each.family for each in refused):
        known_since = float(store.get(since_key(family)) or now)
        of_family = [each for each in refused if each.family == family and each.app_id in owners]
        marked = _marked_before(known_since - WINDOW, [each.credential_id for each in of_family])
        members = {
            f"{owners[each.app_id] or 0}:{each.credential_id}": min(now, each.at or now)
            for each in of_family
            if each.credential_id not in marked
        }
        if not members:
            continue
        latest, first = _name(family), _first(family)
        pipe = store.pipeline(transaction=False)
        pipe.zremrangebyscore(latest, "-inf", f"({now - WINDOW}")
        pipe.zinterstore(first, {first: 1, latest: 0})  # what is noted still
        pipe.zadd(latest, dict.fromkeys(members, now))
        pipe.zremrangebyrank(latest, 0, -MOST - 1)
        pipe.zadd(first, members, lt=True)
        pipe.zinterstore(first, {first: 1, latest: 0})
        pipe.expire(latest, WINDOW)
        pipe.expire(first, WINDOW)
        pipe.execute()
        current(store, family)


def _marked_before(moment: float, credentials: list[int]) -> set[int]:
    """Those of them that were marked as refused before this moment (unix seconds)."""
    marked = Credential.objects.filter(pk__in=credentials, refused_at__lt=datetime.fromtimestamp(moment, UTC))
    return set(marked.values_list("pk", flat=True))


def current(store: redis.Redis, family: str) -> Incident | None:
    """The incident of a provider, None where there is none. Blocks; raises redis.RedisError."""
    name, now = _name(family), _now(store)
    members = cast("list[bytes]", store.zrangebyscore(name, now - WINDOW, "+inf"))
    customers = {member.partition(b":")[0] for member in members}
    if len(members) <= CREDENTIALS or len(customers) < CUSTOMERS:
        if store.delete(since_key(family)):
            store.delete(begun_key(family), corrected_key(family))
            logger.warning("%s refuses few credentials again: what it refuses from now on is marked", _called(family))
        return None
    if store.set(since_key(family), now, nx=True, ex=WINDOW):
        first = cast("list[tuple[bytes, float]]", store.zrange(_first(family), 0, 0, withscores=True))
        begun = max(now - WINDOW, min([now, *(at for _, at in first)]))
        store.delete(corrected_key(family))
        store.set(begun_key(family), begun, ex=2 * WINDOW)
        logger.critical(
            "%s refuses %d credentials of %d customers: nothing is marked as refused, no credential takes another's "
            "place, and nobody is written to",
            *(_called(family), len(members), len(customers)),
        )
    else:
        store.expire(since_key(family), WINDOW)
        store.expire(begun_key(family), 2 * WINDOW)
    since, begun = (float(each or now) for each in store.mget(since_key(family), begun_key(family)))
    return Incident(family, len(members), len(customers), since, min(since, begun))


def known(family: str) -> Incident | None:
    """The incident of a provider, None where there is none, or Valkey does not say. Blocks."""
    try:
        with redis_client.connect(STORE_TIMEOUT) as store:
            return current(store, family)
    except redis.RedisError as error:
        logger.warning("whether a provider refuses many credentials is not known: %s", first_line(error))
        return None


def all_current(store: redis.Redis) -> Mapping[str, Incident]:
    """The incidents of all providers, by family. Blocks; raises redis.RedisError."""
    found = {family: current(store, family) for family in PROVIDERS}
    return {family: incident for family, incident in found.items() if incident is not None}


def since_key(family: str) -> str:
    """The key that is there while a provider has an incident: since when."""
    return f"{_name(family)}:since"


def begun_key(family: str) -> str:
    """The key that says when its first refusal was, while a provider has an incident."""
    return f"{_name(family)}:begun"


def corrected_key(family: str) -> str:
    """The key that says up to which acceptance rows of an incident are corrected (incident_corrections.py)."""
    return f"{_name(family)}:corrected"


def _first(family: str) -> str:
    """When each of the noted ones was refused for the first time."""
    return f"{_name(family)}:first"


def _name(family: str) -> str:
    return f"credentials:refused:{family}"


def _called(family: str) -> str:
    return PROVIDERS[family].name if family in PROVIDERS else family


def _now(store: redis.Redis) -> float:
    seconds, microseconds = store.time()
    return seconds + microseconds / 1e6
