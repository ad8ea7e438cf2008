"""The demo's customer has an issued invoice and a draft, after the second start as after the first."""

import pytest
from pytest_django import Settings

from billing.models import Invoice, InvoiceDraft
from hpns.local import demo_invoices
from hpns.local.demo_names import SELLER
from tenants.models import Customer


@pytest.mark.django_db
def test_there_is_an_invoice_and_a_draft_however_often_it_starts(customer: Customer, settings: Settings) -> None:
    settings.SELLER = SELLER
    for _ in range(2):
        demo_invoices.seed(customer)
        assert (Invoice.objects.count(), InvoiceDraft.objects.count()) == (1, 1)
    assert Invoice.objects.get().total == "529.00 EUR"
