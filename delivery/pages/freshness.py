"""Whether the figures of a page are up to date, in words for the page."""

import logging
from typing import Final

import redis

from delivery.insight.summary import Clock
from delivery.log import freshness
from delivery.log.backlog import LATE

logger = logging.getLogger(__name__)

UNKNOWN: Final = (
    "It cannot be told at the moment how far these figures reach: pushes of the last minutes may be missing."
)


def stale_since(clock: Clock) -> str:
    """A sentence on since when the figures stand, "" where they are up to date."""
    try:
        written = freshness.written_at()
    except redis.RedisError as error:
        logger.warning("It is not known how far the delivery log is written: %s", error)
        return UNKNOWN
    if written is None or (clock.now - written).total_seconds() < LATE:
        return ""
    return (
        f"These figures stand as of {clock.tell(written)}: what came since is kept, and will be counted as soon as the"
        " database takes it. Pushes are handed off meanwhile."
    )
