"""The demo's invoices, out of its subscription: the running month's is issued and open, the next one's is a draft.

Seeding twice changes nothing.
"""

from django.utils import timezone

from billing.invoices import daily, issuing, profiles
from billing.invoices.sources import SOURCES
from billing.models import Invoice
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
    drafts = daily.refresh(customer, SOURCES, now)
    if not Invoice.objects.filter(customer_id=customer.pk).exists():
        issuing.issue(min(drafts, key=lambda draft: draft.ready_on), now=now)
