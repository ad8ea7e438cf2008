"""The sandbox as the providers of this process: for tests that ask Apple and Google from within Django."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.sandbox_fixture import SandboxClient, running_sandbox


@pytest.fixture(scope="session")
def provider_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxClient]:
    """The running sandbox."""
    with running_sandbox(tmp_path_factory.mktemp("providers")) as client:
        yield client


@pytest.fixture
def providers(provider_process: SandboxClient, settings: Settings) -> Iterator[SandboxClient]:
    """The sandbox as new; the settings name it in the place of Apple and Google."""
    provider_process.clear()
    accounts = provider_process.demo.accounts.read_bytes()
    settings.APNS_ORIGIN = settings.FCM_ORIGIN = settings.GOOGLE_TOKEN_ORIGIN = provider_process.origin
    settings.APNS_SANDBOX_ORIGIN = provider_process.other_origin
    settings.PROVIDER_CA_FILE = provider_process.ca_file
    settings.HTTPS_PROXY = ""
    yield provider_process
    provider_process.demo.accounts.write_bytes(accounts)
    if provider_process.state()["mode"] != "up":
        provider_process.mode("up")
