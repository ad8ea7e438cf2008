"""A seller that can issue, and Acme, who can be billed."""

import pytest
from pytest_django import Settings

from tenants.models import Customer
from tests.billing.invoices.making import SELLER_JSON, billed


@pytest.fixture
def acme(customer: Customer, settings: Settings) -> Customer:
    settings.SELLER, settings.PUBLIC_URL = SELLER_JSON, "https://push.example.com"
    return billed(customer)
