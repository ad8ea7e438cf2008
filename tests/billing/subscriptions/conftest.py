"""What the tests of subscriptions share: the plans, a customer with an owner, and sources that a test fills."""

from typing import Any, NamedTuple

import pytest
import redis
from pytest_django import Settings

from billing.facts import OpenInvoice, Proof
from billing.subscriptions.sources import Sources
from tenants.models import Customer
from tests.billing.subscriptions.agreed import seed
from tests.browsing import Browser, Tenant, browser, tenant


class Facts(NamedTuple):
    """What the other parts of billing would say; a test adds to it."""

    invoices: list[OpenInvoice]
    proofs: list[Proof]
    contacts: list[str]

    @property
    def sources(self) -> Sources:
        """As the functions take it."""
        return Sources(lambda _: self.invoices, lambda _: self.proofs, lambda _: self.contacts)


@pytest.fixture
def facts() -> Facts:
    return Facts([], [], [])


@pytest.fixture
def acme(db: None, valkey: redis.Redis, settings: Settings) -> Tenant:
    """Acme, entitled to push to the shared apps, and the plans of the migration."""
    settings.PUBLIC_URL = "https://push.example.com"
    seed()
    return tenant("Acme")


@pytest.fixture
def owner(acme: Tenant) -> Browser:
    """The browser of Ada, who owns Acme."""
    return browser(acme.customer, "owner")


def entitled(customer: Customer) -> tuple[Any, ...]:
    """What the path is told."""
    row = type(customer).objects.get(pk=customer.pk).entitlement
    return row.refusal, row.may_grow
