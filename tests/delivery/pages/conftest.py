"""What the tests of these pages share: two customers, and whoever looks."""

import pytest

from tenants.models import Role
from tests.browsing import Browser, member, staff, tenant
from tests.tenants.conftest import Cast


@pytest.fixture
def cast(db: None) -> Cast:
    """Ada owns Acme, Ben views it; Cosmos is another customer."""
    acme, cosmos = tenant("Acme"), tenant("Cosmos")
    ada = Browser().enter(member("ada", acme.customer, Role.OWNER))
    ben = Browser().enter(member("ben", acme.customer, Role.VIEWER))
    return Cast(acme, cosmos, ada, ben, Browser().enter(staff(), factor=True))
