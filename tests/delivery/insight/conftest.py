"""Who the tests of troubles look at."""

import pytest

from tenants.models import Credential, PushApp
from tests.browsing import Tenant, tenant


@pytest.fixture
def acme(db: None) -> Tenant:
    """A customer of the shared app, for whom all is well."""
    PushApp.objects.create(label="apple_rn", topic="x", family="apns", host="production")
    return tenant("Acme")


@pytest.fixture
def own(acme: Tenant) -> PushApp:
    """Acme's own app, with a good key."""
    app = PushApp.objects.create(customer=acme.customer, label="apple_own", topic="y", family="apns", host="production")
    Credential.objects.create(app=app, kind="apns_key", sealed="v1:x", key_id="ABC123")
    return app
