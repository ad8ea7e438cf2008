"""What the tests of this app share: the sandbox as Apple and Google, and what of one web process takes pushes."""

from collections.abc import AsyncIterator, Iterator

import pytest
import redis
from pytest_django import Settings

from delivery import valkey
from delivery.limits import Limits
from delivery.outbox import Outbox
from tests.delivery.limiting import HASH_KEY
from tests.delivery.several import links, until
from tests.sandbox_fixture import SandboxClient, as_new, running_sandbox


@pytest.fixture(scope="session")
def provider_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxClient]:
    """The running sandbox."""
    with running_sandbox(tmp_path_factory.mktemp("providers")) as client:
        yield client


@pytest.fixture
def providers(provider_process: SandboxClient, settings: Settings) -> Iterator[SandboxClient]:
    """The sandbox as new; the settings name it in the place of Apple and Google."""
    settings.APNS_ORIGIN = settings.FCM_ORIGIN = settings.GOOGLE_TOKEN_ORIGIN = provider_process.origin
    settings.APNS_SANDBOX_ORIGIN = provider_process.other_origin
    settings.PROVIDER_CA_FILE = provider_process.ca_file
    settings.HTTPS_PROXY = settings.NO_PROXY = ""
    with as_new(provider_process) as client:
        yield client


@pytest.fixture
async def link(valkey_url: str) -> AsyncIterator[valkey.Link]:
    """One process's link."""
    async with links(valkey_url, 1) as (made,):
        yield made


@pytest.fixture
def process(link: valkey.Link, settings: Settings) -> Limits:
    """One process."""
    return Limits(link, "one", HASH_KEY, settings.WAITING_LIMIT)


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
