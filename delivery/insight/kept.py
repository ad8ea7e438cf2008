"""What is read once for many pages, and kept in the cache for a while. A cache that is away costs the reading."""

import logging
from collections.abc import Callable
from typing import Final, TypeVar

from django.core.cache import cache
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

SECONDS: Final = 60
Value = TypeVar("Value")


def kept(name: str, read: Callable[[], Value], seconds: int = SECONDS) -> Value:
    """What is in the cache by this name, or was read now and put there for so long. Raises what read() raises."""
    key = f"insight:{name}"
    try:
        known: Value | None = cache.get(key)
        if known is not None:
            return known
    except RedisError as error:
        logger.warning("what pages keep for a while cannot be read: %s", error)
    value = read()
    try:
        cache.set(key, value, seconds)
    except RedisError as error:
        logger.warning("what pages keep for a while cannot be kept: %s", error)
    return value
