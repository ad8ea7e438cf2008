"""What the tests of the front door share: PostgreSQL and Valkey with two customers, once for all of them."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hpns.door import ACK, BODY_DEADLINE, DEADLINE, Door, Stores, answer, request


@pytest.fixture(scope="session")
def stores() -> Iterator[Stores]:
    """The stores; nobody changes what is in them. In a folder that another user can walk into, for root's sake."""
    path = Path(tempfile.mkdtemp(prefix="hpns-door-"))
    path.chmod(0o755)
    made = None
    try:
        made = Stores(path)
        yield made
    finally:
        if made is not None:
            made.close()
        shutil.rmtree(path)


@pytest.fixture(scope="session")
def plain_door(stores: Stores) -> Iterator[Door]:
    """A front door on plain HTTP, with one process."""
    door = Door(stores, {"PUSH_DEADLINE": str(DEADLINE), "BODY_DEADLINE": str(BODY_DEADLINE)})
    yield door
    door.close()


@pytest.fixture
def door(plain_door: Door) -> Iterator[Door]:
    """The same for all tests; each leaves it serving, by the same process, without an error in its log."""
    plain_door.turn_the_page()
    before = plain_door.processes()
    yield plain_door
    told = answer(plain_door.send(request(f"/t/{plain_door.stores.key}/api/v1/ack", ACK)))
    assert (told.status, told.read()) == (200, b'{"status":"OK"}')
    assert plain_door.processes() == before
    assert "Traceback" not in plain_door.log()
