"""What of one web process takes pushes."""

from collections.abc import AsyncIterator

import pytest
from pytest_django import Settings

from delivery.ingest.limits import Limits
from delivery.ingest.outbox import Outbox
from delivery.queue import valkey
from tests.delivery.ingest.limiting import HASH_KEY
from tests.delivery.links import until
from tests.delivery.web_process import SAVED


@pytest.fixture
def process(link: valkey.Link, settings: Settings) -> Limits:
    """One process."""
    return Limits(link, "one", HASH_KEY, settings.WAITING_LIMIT)


@pytest.fixture
async def outbox(valkey_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Outbox]:
    """A connected outbox that hands over rows of floods at once, and waits no second for them."""
    settings.REDIS_URL = settings.CELERY_BROKER_URL = valkey_url
    settings.PUSH_DEADLINE = 0.2
    settings.TEST_SERVICE = True
    monkeypatch.setattr("delivery.ingest.refusals.PAUSE", 0.02)
    made = Outbox()
    made.start()
    await until(lambda: made.ready)
    made.responses.synced = SAVED
    yield made
    await made.close()
