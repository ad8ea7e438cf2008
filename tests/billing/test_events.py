"""What follows from an uploaded licence, an invoice, a payment or a credit note is in force with it, at once."""

from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings

from billing import events, wiring
from billing.facts import State
from billing.invoices import daily, issuing, payments, reading
from billing.invoices.sources import SOURCES
from billing.licences import proving, vouching
from billing.models import Invoice, LastStanding, LicenceProof, Subscription
from billing.subscriptions import changing
from billing.subscriptions import reading as subscriptions
from tenants.models import Customer
from tests.billing.invoices.making import NOW as ISSUED
from tests.billing.invoices.making import SELLER_JSON, billed
from tests.billing.licences import making
from tests.billing.licences.making import NOW, made
from tests.billing.subscriptions.agreed import DAY, seed
from tests.browsing import Tenant, tenant
from tests.tenants.two_customers import page_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture
def acme(settings: Settings, tmp_path: Any) -> Tenant:
    settings.SELLER, settings.PUBLIC_URL = SELLER_JSON, "https://push.example.com"
    settings.LICENCE_KEYS = making.key_folder(tmp_path / "issuers")
    seed()
    found = tenant("Acme")
    billed(found.customer)
    return found


def begin(customer: Customer, code: str) -> Subscription:
    return changing.start(customer=customer, version=subscriptions.version(code), now=ISSUED).row


def state() -> str:
    return LastStanding.objects.get().state


def test_a_licence_that_is_uploaded_and_withdrawn_in_the_page_counts_at_once(acme: Tenant) -> None:
    begin(acme.customer, "e1")
    assert state() == State.PAST_DUE
    with page_of(acme):
        proven = proving.upload(customer=acme.customer, data=made(), now=NOW, server=acme.server)
        assert state() == State.ACTIVE
        proving.withdraw(proof=proven.proof, now=NOW)
        assert state() == State.PAST_DUE


def test_a_licence_that_staff_vouch_for_and_end_counts_at_once(acme: Tenant) -> None:
    begin(acme.customer, "e1")
    terms: Any = {"sku": "enterprise", "users": 5, "expires_at": NOW + 90 * DAY, "reason": "the order is signed"}
    row = vouching.vouch(customer=acme.customer, now=NOW, **terms)
    assert state() == State.ACTIVE
    vouching.end(proof=row, reason="it is not", now=NOW + DAY)
    assert state() == State.PAST_DUE


@pytest.fixture
def unpaid(acme: Tenant) -> Invoice:
    """The first invoice of the customer's subscription, of 593.81 EUR."""
    begin(acme.customer, "hpns")
    draft, *_ = daily.refresh(acme.customer, SOURCES, ISSUED)
    return issuing.issue(draft, now=ISSUED)


def test_an_invoice_that_is_issued_moves_the_next_change_to_its_due_date(acme: Tenant, unpaid: Invoice) -> None:
    (owed,) = reading.open_invoices(acme.customer)
    assert LastStanding.objects.get().next_change_at == owed.due_at


def test_a_payment_or_a_credit_note_ends_what_was_past_due_at_once(acme: Tenant, unpaid: Invoice) -> None:
    late = ISSUED + timedelta(days=80)
    common: Any = {"currency": "EUR", "now": late}
    payments.record(unpaid, amount_minor=100, reference="a part", **common)
    assert state() == State.SUSPENDED
    assert acme.customer.entitlement.__class__.objects.get().refusal == "subscription_unpaid"
    payments.record(unpaid, amount_minor=1_000, reference="another", **common)
    issuing.credit(unpaid, reason="agreed", now=late)
    assert state() == State.ACTIVE
    assert acme.customer.entitlement.__class__.objects.get().refusal == ""


def test_a_fault_of_judging_refuses_no_licence_and_no_payment(acme: Tenant, unpaid: Invoice) -> None:
    events.wire(lambda customer, _now: Customer.objects.raw("SELECT broken")[0])
    try:
        payments.record(unpaid, amount_minor=59_381, currency="EUR", reference="all", now=ISSUED)
        proving.upload(customer=acme.customer, data=made(), now=NOW)
    finally:
        wiring.wire()
    assert reading.open_invoices(acme.customer) == []
    assert LicenceProof.objects.count() == 1


def test_the_invoice_of_a_customer_that_was_erased_is_still_paid(acme: Tenant, unpaid: Invoice) -> None:
    acme.customer.entitlement.delete()
    assert payments.record(unpaid, amount_minor=59_381, currency="EUR", reference="all", now=ISSUED).open_minor == 0
