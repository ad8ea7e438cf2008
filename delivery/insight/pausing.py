"""Open circuit breakers in words: with which credential nothing is sent for a while, since when, why, until when.

What is read is kept for some seconds for all pages; where Valkey is away nothing is said.
"""

import logging
from datetime import UTC, datetime
from typing import Final

import redis

from delivery.insight import kept
from delivery.outcomes.transport import TransportFault
from delivery.worker import breaker_reports
from delivery.worker.breaker_reports import Paused
from tenants import redis_client
from tenants.problem import first_line

logger = logging.getLogger(__name__)
TIMEOUT: Final = 1.0
SECONDS: Final = 5

# What comes behind "{host} ... for the last pushes": why a breaker is open.
_WHY: Final[dict[str, str]] = {
    TransportFault.DNS: "cannot be found by its name",
    TransportFault.CONNECT: "takes no connections",
    TransportFault.TLS: "has no certificate that is trusted, or speaks no TLS with us",
    TransportFault.PROXY: "cannot be reached through the outgoing proxy",
    TransportFault.TIMEOUT_CONNECT: "does not take connections in time",
    TransportFault.TIMEOUT: "does not answer in time",
    TransportFault.CLOSED: "closes connections without an answer",
    TransportFault.RESET: "breaks connections off without an answer",
    TransportFault.PROTOCOL: "does not speak HTTP/2 as it should",
}


def breakers() -> list[Paused]:
    """Those that are open at the moment, in any process; those first that opened first."""
    found: list[Paused] = kept.kept("breakers:open", _read, SECONDS)
    return found


def of_apps() -> dict[int, Paused]:
    """The first of each app, by its id."""
    return {each.app_id: each for each in reversed(breakers())}


def why(paused: Paused) -> str:
    """Why nothing is sent, as the rest of a sentence that begins with the host."""
    return _WHY.get(paused.reason, f"answers {paused.reason}")


def since(paused: Paused) -> datetime:
    """When it opened first."""
    return datetime.fromtimestamp(paused.since, UTC)


def probe_at(paused: Paused) -> datetime:
    """When the next probe may be sent; in the past while some are under way."""
    return datetime.fromtimestamp(paused.probe_at, UTC)


def _read() -> list[Paused]:
    try:
        with redis_client.connect(TIMEOUT) as store:
            return breaker_reports.read(store)
    except redis.RedisError as error:
        logger.warning("which circuit breakers are open is not known: %s", first_line(error))
        return []
