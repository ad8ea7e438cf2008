"""Puts down to a provider what it refused of everybody's credentials before its incident was known (log/reattributing).

It is done beside the log's writing, in the turns that an incident lasts: from its first refusal on, then of what has
come since, for a process that had been refused nothing before puts its first one down to the credential's owner.
"""

import logging
from datetime import UTC, datetime
from functools import cache
from typing import Final, cast

import redis

from delivery.log import reattributing, writing
from delivery.log.reattributing import LONGEST
from delivery.outcomes import own
from delivery.providers import table
from delivery.worker import refusal_incidents
from tenants.models import Credential
from tenants.providers.table import PROVIDERS

logger = logging.getLogger(__name__)

_FAMILIES: Final = tuple(PROVIDERS)


def write(store: redis.Redis) -> int:
    """Correct the rows of the incidents that there are; returns how many. It may be done twice.

    Raises what the stores raise; the rest is corrected by the next call.
    """
    keys = [name(family) for family in _FAMILIES for name in (refusal_incidents.since_key, refusal_incidents.begun_key)]
    found = cast("list[bytes | None]", store.mget(*keys))
    corrected = 0
    for family, since, begun in zip(_FAMILIES, found[::2], found[1::2], strict=True):
        if since is not None and begun is not None:
            corrected += _of(store, family, float(begun))
    return corrected


def _of(store: redis.Redis, family: str, begun: float) -> int:
    done_key = refusal_incidents.corrected_key(family)
    done, written = (float(each or 0) for each in store.mget(done_key, writing.WRITTEN_AT))
    seconds, microseconds = store.time()
    now = seconds + microseconds / 1e6
    first = _moment(max(done, begun) - LONGEST.total_seconds())
    incident = reattributing.Incident(family, _moment(begun), key_faults(family), _marked_before(begun))
    corrected = reattributing.correct(incident, first, _moment(now + 1.0))
    if corrected is None:
        return 0
    if corrected:
        logger.warning("%d rows of pushes that %s refused are put down to it now", corrected, PROVIDERS[family].name)
    # What was accepted later may have rows that wait in Valkey.
    store.set(done_key, min(now, written), ex=2 * refusal_incidents.WINDOW)
    return corrected


@cache
def key_faults(family: str) -> frozenset[str]:
    """The codes by which a provider of this family refuses a credential for its key, and which are its owner's."""
    outcomes = table.OUTCOMES[family]
    rows = (*outcomes.answers.values(), *outcomes.transport.values(), *own.TRANSPORT.values())
    return frozenset(row.code for row in rows if row.is_key_fault and row.attribution == "customer")


def _marked_before(begun: float) -> list[int]:
    """The apps whose credential in use was refused before an incident: that is nobody's but its owner's."""
    marked = Credential.objects.filter(slot=Credential.Slot.CURRENT, refused_at__lt=_moment(begun))
    return list(marked.values_list("app_id", flat=True))


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
