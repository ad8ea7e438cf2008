"""Wires the parts of billing to each other: what each needs of the others, said in one place, when Django is ready.

The parts import each other nowhere else but here: each has a sources.py with what it asks for, and readers for others.
"""

from datetime import datetime, timedelta

from django.utils import timezone

from billing.facts import Basis, Month
from billing.incidents import canary
from billing.incidents import reading as incidents
from billing.invoices import profiles
from billing.invoices import reading as invoices
from billing.invoices import sources as invoice_sources
from billing.licences import reading as licences
from billing.licences import servers
from billing.models import PlanVersion, Subscription
from billing.sla import credits as sla_credits
from billing.sla import judging
from billing.sla import sources as sla_sources
from billing.sla.sources import Price
from billing.subscriptions import reading as subscriptions
from billing.subscriptions import sources as subscription_sources
from billing.usage import reading as usage
from billing.usage import sources as usage_sources
from tenants.models import Customer
from tenants.proofs import listeners
from tenants.proofs import reading as proofs

# What an SLA month of somebody who pays with a licence is worth: the list price of the same, bought alone.
LIST_PLAN = "hpns"


def wire() -> None:
    """Wire all of them; called once."""
    subscription_sources.wire(subscription_sources.Sources(invoices.open_invoices, licences.proofs, profiles.contacts))
    invoice_sources.wire(
        invoice_sources.Sources(
            subscribed=subscriptions.subscribed,
            usage=usage.usage,
            credits=lambda customer: sla_credits.given(customer.pk),
        )
    )
    usage_sources.wire(
        usage_sources.Sources(
            proven_ids=proofs.proven_ids,
            seats=_seats,
            terms=subscriptions.terms,
            contacts=profiles.contacts,
            left_out=_canaries,
        )
    )
    sla_sources.wire(sla_sources.Sources(canary=_canary, windows=_windows, price=price, left_out=_canaries))
    listeners.wire(licensed=servers.is_licensed, read=servers.note_read)


def _seats(customer: Customer) -> int | None:
    now = timezone.now()
    return max((each.users for each in licences.proofs(customer) if each.starts_at <= now), default=None)


def _canaries() -> set[int]:
    return set(Customer.objects.filter(canary=True).values_list("pk", flat=True))


def _canary(start: datetime, end: datetime) -> dict[datetime, str] | None:
    """By minute. It is missing from its first push on: before that there was none that could be.

    Its customer is not asked for, whom no page of another customer sees.
    """
    began = canary.began()
    if began is None:
        return None
    known = {at: judging.OFF if at < began else str(found) for at, found in canary.minutes(start, end).items()}
    return {at: found for at, found in known.items() if found != judging.MISSING}


def _windows(start: datetime, end: datetime) -> list[judging.Window]:
    return [judging.Window(*window) for window in incidents.windows(start, end)]


def price(customer: Customer, month: Month) -> Price | None:
    """The fee of a customer's month with the SLA; None without it.

    Of the subscription that began last before the month's end and had not ended at its beginning, as it is now: asked
    twice about a month it says the same, unless its plan was changed meanwhile.
    """
    first = judging.midnight(month.first)
    after = judging.midnight((month.first + timedelta(days=32)).replace(day=1))
    rows = Subscription.objects.filter(customer=customer, starts_at__lt=after, version__sla=True)
    rows = rows.exclude(cancel_at__lte=first).select_related("version__plan").order_by("-starts_at", "-pk")
    row = rows.first()
    if row is None or (row.trial_ends_at is not None and row.trial_ends_at >= after):
        return None
    version = row.version
    if row.basis == Basis.LICENCE:
        listed = PlanVersion.objects.filter(plan__code=LIST_PLAN).order_by("-version").first()
        version = listed or version
    return Price(-(-version.price_minor // version.period_months), version.currency)
