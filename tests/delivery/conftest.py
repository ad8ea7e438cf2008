"""What the tests of this app share: the sandbox as Apple and Google, a rougher server, and a link to Valkey."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import redis
from pytest_django import Settings

from delivery.http2.engine import Engine
from delivery.queue import valkey
from tests.delivery.http2.rough_server import RoughServer
from tests.delivery.links import links
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
def store(valkey_url: str) -> redis.Redis:
    """What stands in Valkey, to look at."""
    return redis.Redis.from_url(valkey_url)


@pytest.fixture
def sandbox(provider_process: SandboxClient) -> Iterator[SandboxClient]:
    """The sandbox as new."""
    with as_new(provider_process) as client:
        yield client


@pytest.fixture(scope="module")
def rough(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoughServer]:
    """A server with faults that the sandbox has not."""
    server = RoughServer(tmp_path_factory.mktemp("rough"))
    yield server
    server.stop()


@pytest.fixture
async def engine(provider_process: SandboxClient) -> AsyncIterator[Engine]:
    """An engine that trusts the sandbox."""
    made = Engine(asyncio.get_running_loop(), provider_process.ca_file)
    yield made
    await made.close()


@pytest.fixture
async def hasty(provider_process: SandboxClient) -> AsyncIterator[Engine]:
    """The same, whose requests end with the first dial that fails."""
    made = Engine(asyncio.get_running_loop(), provider_process.ca_file, patient=False)
    yield made
    await made.close()


@pytest.fixture
async def plain(rough: RoughServer) -> AsyncIterator[Engine]:
    """An engine that trusts the rough server."""
    engine = Engine(asyncio.get_running_loop(), rough.ca_file)
    yield engine
    await engine.close()
