"""The demo's customer has an issued invoice and a draft of its subscription, however often it starts."""

import pytest
from pytest_django import Settings

from billing import wiring
from billing.models import Invoice, InvoiceDraft, PlanVersion
from billing.money import text
from hpns.local import demo_invoices, demo_subscription
from hpns.local.demo_names import SELLER
from tenants.models import Customer
from tests.billing.subscriptions.agreed import seed


@pytest.mark.django_db
def test_what_is_billed_is_what_the_subscription_costs_however_often_it_starts(
    customer: Customer, settings: Settings
) -> None:
    settings.SELLER = SELLER
    wiring.wire()  # other tests leave sources of their own
    seed()  # the plans, which other tests have emptied with all tables
    for _ in range(2):
        demo_subscription.seed(customer)
        demo_invoices.seed(customer)
        assert (Invoice.objects.count(), InvoiceDraft.objects.count()) == (1, 1)
    plan = PlanVersion.objects.get(plan__code="eas")
    assert Invoice.objects.get().total == text(plan.price_minor, plan.currency)
    assert InvoiceDraft.objects.get().lines[0]["unit_minor"] == plan.price_minor
