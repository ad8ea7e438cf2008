"""What the tests of the front door share: PostgreSQL and Valkey with two customers, once for all of them."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hpns.door import Stores


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
