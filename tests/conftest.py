"""What all tests share: the stores that bin/test started, and a Valkey database that is empty for each test."""

import os
from collections.abc import Iterator

import pytest
import redis


@pytest.fixture
def valkey_url() -> Iterator[str]:
    """The URL of a Valkey database of this test's own, emptied before and after."""
    url = os.environ["REDIS_URL"].rpartition("/")[0] + "/7"
    with redis.Redis.from_url(url) as valkey:
        valkey.flushdb()
        yield url
        valkey.flushdb()
