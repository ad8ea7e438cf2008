"""A customer whose ledger has begun."""

import pytest

from billing import customers
from billing.sla import keys
from tenants.models import Customer
from tests.billing.sla.facts import BEGIN


@pytest.fixture
def acme(db: None) -> Customer:
    """A customer since the day on which the ledger got its first key."""
    keys.new(now=BEGIN)
    customer = customers.add(name="Acme", offer="hpns").row
    Customer.objects.filter(pk=customer.pk).update(created_at=BEGIN)
    customer.refresh_from_db()
    return customer
