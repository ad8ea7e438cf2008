"""The real sandbox, a rougher server, and the engine on the test's loop."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from delivery.senders.http2 import Engine
from tests.delivery.senders.rough_server import RoughServer
from tests.sandbox_fixture import SandboxClient, as_new, running_sandbox


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxClient]:
    """The running sandbox."""
    with running_sandbox(tmp_path_factory.mktemp("senders")) as client:
        yield client


@pytest.fixture
def sandbox(process: SandboxClient) -> Iterator[SandboxClient]:
    """The sandbox as new."""
    with as_new(process) as client:
        yield client


@pytest.fixture(scope="module")
def rough(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoughServer]:
    """A server with faults that the sandbox has not."""
    server = RoughServer(tmp_path_factory.mktemp("rough"))
    yield server
    server.stop()


@pytest.fixture
async def engine(process: SandboxClient) -> AsyncIterator[Engine]:
    """An engine that trusts the sandbox."""
    made = Engine(asyncio.get_running_loop(), process.ca_file)
    yield made
    await made.close()


@pytest.fixture
async def plain(rough: RoughServer) -> AsyncIterator[Engine]:
    """An engine that trusts the rough server."""
    engine = Engine(asyncio.get_running_loop(), rough.ca_file)
    yield engine
    await engine.close()
