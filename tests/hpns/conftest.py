"""What the tests of the front door share: PostgreSQL and Valkey with two customers, once for all of them."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hpns.web_server import ACK, BODY_DEADLINE, DEADLINE, Server, Stores, answer, request


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
def shared_web(stores: Stores) -> Iterator[Server]:
    """A front door on plain HTTP, with one process."""
    web = Server(stores, {"PUSH_DEADLINE": str(DEADLINE), "BODY_DEADLINE": str(BODY_DEADLINE)})
    yield web
    web.close()


@pytest.fixture
def web(shared_web: Server) -> Iterator[Server]:
    """The same for all tests; each leaves it serving, by the same process, without an error in its log."""
    shared_web.mark_log()
    before = shared_web.processes()
    yield shared_web
    answered = answer(shared_web.send(request(f"/t/{shared_web.stores.key}/api/v1/ack", ACK)))
    assert (answered.status, answered.read()) == (200, b'{"status":"OK"}')
    assert shared_web.processes() == before
    assert "Traceback" not in shared_web.log()
