"""The demo's invoices: an issued one that is open, and a draft of what comes next. Seeding twice changes nothing."""

from datetime import date, timedelta
from decimal import Decimal

from django.utils import timezone

from billing.invoices import drafting, issuing, profiles
from billing.invoices.document import Line
from billing.invoices.periods import add_months
from billing.models import Invoice, InvoiceDraft
from tenants.models import Customer


def seed(customer: Customer) -> None:
    """Make what is missing: who is billed, an invoice for the running month, a draft for the next."""
    now = timezone.now()
    if profiles.profile(customer) is None:
        profiles.change(
            customer=customer,
            name="Demo Customer SA",
            address="Rue de la Loi 200",
            postcode="1040",
            city="Bruxelles",
            country="BE",
            vat_id="BE0428759497",
            reference="PO 4711",
            emails=["books@demo.example"],
        )
    first = now.date().replace(day=1)
    if not Invoice.objects.filter(customer_id=customer.pk).exists():
        issuing.issue(drafting.make(customer, currency="EUR", lines=_lines(first), now=now), now=now)
    if not InvoiceDraft.objects.filter(customer=customer).exists():
        drafting.make(customer, currency="EUR", lines=_lines(add_months(first, 1)), now=now)


def _lines(first: date) -> list[Line]:
    before, last = add_months(first, -1), add_months(first, 1) - timedelta(days=1)
    used = "2,120 active devices, of which 2,000 are included"
    return [
        Line("HPNS Standard, 1 month", 49_900, start=first, end=last),
        Line("Active devices beyond those included", 25, Decimal(120), before, first - timedelta(days=1), used),
    ]
