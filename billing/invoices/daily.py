"""The daily run: every customer's drafts are recomputed, and statements that are ready are issued.

Invoices are issued by staff, who look at them before; a statement asks for no money. Runs that were missed are made up
for by the next one, for drafts belong to days of the subscription (drafting.py). One customer's trouble is its own.
"""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, NamedTuple

from billing.facts import Month, Usage
from billing.invoices import drafting, issuing, periods, seller
from billing.invoices.sources import Sources
from billing.models import DocumentKind, InvoiceDraft
from billing.rounds import Isolation, Round
from tenants.models import Customer

# A statement has what was used in its month and the SLA credit for it: both are final two days after its last day.
# For longer than this none waits: what is owed then stands on the next one.
WAIT: Final = timedelta(days=7)


class Run(NamedTuple):
    """How many drafts there are, how many statements were issued, and how many customers could not be done."""

    drafts: int
    statements: int
    failed: int


def run(sources: Sources, now: datetime) -> Run:
    """Do it for all customers."""
    can_issue = not seller.problems()
    isolation = Isolation(Round.DRAFTS, now)

    def one(customer: Customer) -> tuple[int, int]:
        made = refresh(customer, sources, now)
        return len(made), sum(_issued(draft, sources, now) for draft in made) if can_issue else 0

    done = [isolation.attempt(each.pk, partial(one, each)) or (0, 0) for each in Customer.objects.order_by("pk")]
    return Run(sum(drafts for drafts, _ in done), sum(issued for _, issued in done), isolation.failed)


def refresh(customer: Customer, sources: Sources, now: datetime) -> list[InvoiceDraft]:
    """Recompute one customer's drafts."""

    def usage(month: Month) -> Usage | None:
        return sources.usage(customer, month)

    return drafting.refresh(
        customer,
        sources.subscribed(customer),
        usage=usage,
        owed=sources.credits(customer),
        now=now,
        changes=sources.changes(customer),
        beside=sources.beside(customer),
    )


def _issued(draft: InvoiceDraft, sources: Sources, now: datetime) -> bool:
    today = now.astimezone(UTC).date()
    if draft.kind != DocumentKind.STATEMENT or draft.ready_on > today:
        return False
    month = periods.month_of(draft.ready_on - timedelta(days=1))
    if today < draft.ready_on + WAIT and not sources.judged(draft.customer, month):
        return False
    issuing.issue(draft, now=now)
    return True
