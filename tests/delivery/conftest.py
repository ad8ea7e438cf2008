"""What the tests of this app share: one web process's link, its limits, and all of it that takes pushes."""

from collections.abc import AsyncIterator

import pytest
import redis
from pytest_django import Settings

from delivery import valkey
from delivery.limits import Limits
from delivery.outbox import Outbox
from tests.delivery.limiting import HASH_KEY
from tests.delivery.several import links, until


@pytest.fixture
async def link(valkey_url: str) -> AsyncIterator[valkey.Link]:
    """One process's link."""
    async with links(valkey_url, 1) as (made,):
        yield made


@pytest.fixture
def process(link: valkey.Link) -> Limits:
    """One process."""
    return Limits(link, "one", HASH_KEY)


@pytest.fixture
def store(valkey_url: str) -> redis.Redis:
    """What stands in Valkey, to look at."""
    return redis.Redis.from_url(valkey_url)


@pytest.fixture
async def taking(valkey_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Outbox]:
    """A connected outbox that hands over rows of floods at once, and waits no second for them."""
    settings.REDIS_URL = settings.CELERY_BROKER_URL = valkey_url
    settings.PUSH_DEADLINE = 0.2
    settings.TEST_SERVICE = True
    monkeypatch.setattr("delivery.refusals.PAUSE", 0.02)
    made = Outbox()
    made.start()
    await until(lambda: made.ready)
    yield made
    await made.close()
