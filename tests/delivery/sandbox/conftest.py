"""One sandbox process for all tests of this folder; each begins with nothing received and no script."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery.sandbox.client import Pusher
from tests.sandbox_fixture import SandboxClient, as_new, running_sandbox


@pytest.fixture(scope="session")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxClient]:
    """The running sandbox."""
    folder: Path = tmp_path_factory.mktemp("sandbox")
    with running_sandbox(folder) as client:
        yield client


@pytest.fixture(scope="session")
def signed(process: SandboxClient) -> Pusher:
    """Its pusher, with a signed token and a bearer."""
    return Pusher(process)


@pytest.fixture
def sandbox(process: SandboxClient) -> Iterator[SandboxClient]:
    """The sandbox as new."""
    with as_new(process) as client:
        yield client


@pytest.fixture
def push(sandbox: SandboxClient, signed: Pusher) -> Pusher:
    """Pushes to the sandbox as new."""
    return signed
