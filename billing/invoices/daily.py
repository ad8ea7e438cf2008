"""The daily run: every customer's drafts are recomputed, and statements that are ready are issued.

Invoices are issued by staff, who look at them before; a statement asks for no money. Runs that were missed are made up
for by the next one, for drafts belong to days of the subscription (drafting.py). One customer's trouble is its own.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from billing.facts import Month, Usage
from billing.invoices import drafting, issuing, periods, seller
from billing.invoices.sources import Sources
from billing.models import DocumentKind, InvoiceDraft
from tenants.models import Customer
from tenants.problem import ProblemError

log = logging.getLogger(__name__)
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
    drafts = statements = failed = 0
    can_issue = not seller.problems()
    for customer in Customer.objects.order_by("pk"):
        try:
            made = refresh(customer, sources, now)
            drafts += len(made)
            if can_issue:
                statements += sum(_issued(draft, sources, now) for draft in made)
        except ProblemError as problem:
            failed += 1
            log.error("A customer's drafts were not computed: %s", problem, extra={"customer": customer.pk})
        except Exception:  # whatever it is, the others' turn comes all the same
            failed += 1
            log.exception("The drafts of the customer %d could not be computed", customer.pk)
    return Run(drafts, statements, failed)


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
