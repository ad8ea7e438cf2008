"""What the servers themselves say when a deployment is checked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from hpns.checks.stores import valkey_is_durable
from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.process import Child
from hpns.local.valkey import Valkey
from tests.waiting import PATIENCE, wait_for


@pytest.fixture
def here(tmp_path: Path, settings: Settings) -> Iterator[Valkey]:
    """A Valkey, which the settings name."""
    made = Valkey(Folder(tmp_path, for_servers()), "s3cr3t", fast=True)
    child = Child(made.spec())
    wait_for(made.spec().ready, PATIENCE, "Valkey serves")
    settings.REDIS_URL = made.url
    yield made
    child.kill()


def of_the_socket() -> list[str]:
    """What is said of it."""
    return [str(found.msg) for found in valkey_is_durable(None, ["default"]) if found.id == "hpns.E038"]


def test_a_socket_of_the_same_server_is_good_and_so_is_none(here: Valkey, settings: Settings) -> None:
    for settings.REDIS_SOCKET in (here.socket, ""):
        assert of_the_socket() == []


def test_a_socket_where_nobody_answers_is_named(here: Valkey, settings: Settings, tmp_path: Path) -> None:
    settings.REDIS_SOCKET = str(tmp_path / "nobody.sock")
    [told] = of_the_socket()
    assert told.startswith("No Valkey answers at REDIS_SOCKET")
    assert "s3cr3t" not in told


def test_a_socket_of_another_server_is_an_error(
    here: Valkey, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Valkey(Folder(tmp_path_factory.mktemp("other"), for_servers()), "s3cr3t", fast=True)
    child = Child(other.spec())
    try:
        wait_for(other.spec().ready, PATIENCE, "Valkey serves")
        settings.REDIS_SOCKET = other.socket
        [told] = of_the_socket()
    finally:
        child.kill()
    assert told.startswith("REDIS_SOCKET is another Valkey's than REDIS_URL")
