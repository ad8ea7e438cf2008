"""Providers that refuse the credentials of many customers at once, in words: for the panels of providers.

What is read is kept for some seconds for all pages; where Valkey is away nothing is said.
"""

import logging
from datetime import UTC, datetime
from typing import Final

import redis

from delivery.insight import kept
from delivery.insight.providers import name_of
from delivery.worker import refusal_incidents
from delivery.worker.refusal_incidents import Incident
from tenants import redis_client
from tenants.models import Credential
from tenants.problem import first_line

logger = logging.getLogger(__name__)
TIMEOUT: Final = 1.0
SECONDS: Final = 10


def sentences(*, with_counts: bool = False) -> list[str]:
    """What is said of each provider's incident; with_counts: for the staff alone."""
    return [_sentence(each, with_counts=with_counts) for each in incidents()]


def incidents() -> list[Incident]:
    """The providers' incidents at the moment."""
    found: list[Incident] = kept.kept("providers:refusing", _read, SECONDS)
    return found


def _read() -> list[Incident]:
    try:
        with redis_client.connect(TIMEOUT) as store:
            return list(refusal_incidents.all_current(store).values())
    except redis.RedisError as error:
        logger.warning("whether a provider refuses many credentials is not known: %s", first_line(error))
        return []


def of_provider(family: str) -> Incident | None:
    """The incident of a provider; None where there is none."""
    return next((each for each in incidents() if each.family == family), None)


def of_credential(row: Credential, family: str) -> Incident | None:
    """The incident in which a credential was marked as refused, which is not to be held against it; None where there is
    none at the moment, or it was refused before."""
    incident = of_provider(family) if row.refused_at is not None else None
    if incident is None or row.refused_at is None or row.refused_at.timestamp() < incident.begun:
        return None
    return incident


def _sentence(incident: Incident, *, with_counts: bool) -> str:
    name, since = name_of(incident.family), datetime.fromtimestamp(incident.since, UTC)
    whose = "credentials of many customers"
    if with_counts:
        whose = f"{incident.credentials:,} credentials of {incident.customers:,} customers"
    return (
        f"Since {since:%H:%M} UTC {name} refuses {whose}: that is {name}'s trouble. No credential is marked as refused"
        " for it, none takes another's place, and nobody is written to."
    )
