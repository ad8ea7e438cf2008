"""One service for the tests of faults that leave it as they found it."""

from collections.abc import Iterator

import pytest

from tests.stage import Stage, running_stage


@pytest.fixture(scope="session")
def one_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A whole service with one worker, shared by the modules here; use it as `service`."""
    with running_stage(tmp_path_factory.mktemp("faults")) as running:
        yield running


@pytest.fixture(scope="module")
def service(one_service: Stage) -> Iterator[Stage]:
    """The shared service; afterwards its providers are well again and forget what they were told to say."""
    yield one_service
    one_service.sandbox.mode("up")
    one_service.sandbox.clear_scripts()
