"""A cache of each test's own, in its Valkey: what is counted and kept there must not reach the next one."""

import pytest
import redis
from pytest_django import Settings


@pytest.fixture(autouse=True)
def own_cache(settings: Settings, valkey: redis.Redis) -> None:
    """See above."""
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": settings.REDIS_URL}}
