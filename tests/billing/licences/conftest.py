"""Two customers with a server each, and an issuer whose licences are accepted."""

from pathlib import Path

import pytest
from pytest_django import Settings

from tests.billing.licences import making
from tests.browsing import Tenant, tenant


@pytest.fixture
def issuer(tmp_path: Path, settings: Settings) -> str:
    """The folder with the key of the issuer "first"."""
    settings.LICENCE_KEYS = making.key_folder(tmp_path / "issuers")
    return str(settings.LICENCE_KEYS)


@pytest.fixture
def acme(db: None, issuer: str) -> Tenant:
    """Acme, with chat.acme.example."""
    return tenant("Acme")


@pytest.fixture
def cosmos(db: None, issuer: str) -> Tenant:
    """Cosmos, with chat.cosmos.example."""
    return tenant("Cosmos")
