"""Wires the parts of billing to each other: what each needs of the others, said in one place, when Django is ready.

The parts import each other nowhere else but here: each has a sources.py with what it asks for, and readers for others.
"""

from datetime import datetime, timedelta
from typing import Final

from django.utils import timezone

from billing import events
from billing.facts import Basis, Month, Terms
from billing.incidents import canary
from billing.incidents import reading as incidents
from billing.invoices import erasing as invoices_erasing
from billing.invoices import profiles
from billing.invoices import reading as invoices
from billing.invoices import sources as invoice_sources
from billing.licences import reading as licences
from billing.licences import servers
from billing.models import PlanVersion, SlaLedger, SlaMonth, Subscription, UsageMonth
from billing.sla import credits as sla_credits
from billing.sla import judging
from billing.sla import sources as sla_sources
from billing.sla.sources import Price
from billing.subscriptions import applying, mailing
from billing.subscriptions import reading as subscriptions
from billing.subscriptions import sources as subscription_sources
from billing.usage import reading as usage
from billing.usage import sources as usage_sources
from tenants.models import Customer
from tenants.proofs import listeners
from tenants.proofs import reading as proofs
from tenants.services import erasing

# What an SLA month of somebody who pays with a licence is worth: the list price of the same, bought alone.
LIST_PLAN: Final = "hpns"
# Whose terms a licence of Mattermost Entry goes by.
ENTRY_PLAN: Final = "free"
ENTRY_OFFER: Final = "tpns"


def wire() -> None:
    """Wire all of them; called once."""
    subscription_sources.wire(
        subscription_sources.Sources(
            open_invoices=invoices.open_invoices,
            proofs=licences.proofs,
            billing_contacts=profiles.contacts,
            with_proofs=licences.customers,
        )
    )
    events.wire(applying.apply)
    invoice_sources.wire(
        invoice_sources.Sources(
            subscribed=subscriptions.subscribed,
            usage=usage.usage,
            credits=lambda customer: sla_credits.in_all(customer.pk),
            changes=subscriptions.charges,
            beside=subscriptions.beside,
            judged=_judged,
            reminded=mailing.reminded,
        )
    )
    usage_sources.wire(
        usage_sources.Sources(
            proven_ids=proofs.proven_ids,
            seats=_seats,
            terms=_terms,
            contacts=profiles.contacts,
            left_out=_canaries,
        )
    )
    sla_sources.wire(
        sla_sources.Sources(
            canary=_canary,
            windows=_windows,
            price=price,
            left_out=_canaries,
            contacts=profiles.contacts,
        )
    )
    erasing.wire(invoices_erasing.documented)
    listeners.wire(licensed=servers.is_licensed, read=servers.note_read)


def _seats(customer: Customer) -> int | None:
    now = timezone.now()
    return max((each.users for each in licences.proofs(customer) if each.starts_at <= now), default=None)


def _terms(customer: Customer) -> Terms | None:
    """What is agreed on; whose licence is one of Mattermost Entry has its pushes, unless more was agreed on."""
    agreed = subscriptions.terms(customer)
    if (agreed.offer if agreed is not None else customer.offer) != ENTRY_OFFER:
        return agreed
    entry = licences.entry(customer, timezone.now())
    if entry is None or entry.push_limit is None:
        return agreed
    return (agreed or subscriptions.version(ENTRY_PLAN).terms)._replace(included_pushes=entry.push_limit)


def _judged(customer: Customer, month: Month) -> bool:
    """Whether a month is settled: what was used is closed, and what its promise comes to is known: its last day is
    sealed, or there was no promise."""
    if not UsageMonth.objects.filter(customer=customer, month=month.first).exists():
        return False
    ledger = SlaLedger.objects.filter(customer=customer, begins__lte=judging.days_of(month)[-1])
    if price(customer, month) is None or not ledger.exists():
        return True
    return SlaMonth.objects.filter(customer=customer, month=month.first).exists()


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
