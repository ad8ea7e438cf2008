"""Drafts: made and recomputed daily out of terms, usage and SLA credits, which are given. Sole writer of InvoiceDraft.

Invariants: the same day twice changes nothing; any number of missed days end in the same drafts as daily runs, for each
draft belongs to a day of the subscription and not to the day of the run; what was issued is not drafted again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.db.models import Q

from billing.facts import Basis, Credit, Month, PlanCharge, Subscribed, Usage
from billing.invoices import charging, composing, document, ledger, periods
from billing.invoices.document import Line
from billing.models import DocumentKind, Invoice, InvoiceDraft
from billing.money import CURRENCIES, text
from tenants.audit import recording
from tenants.models import Customer
from tenants.problem import ProblemError

UsageOf = Callable[[Month], Usage | None]
# What is older than this and was never billed is left alone: a subscription that was entered late bills a year at most.
LOOK_BACK: Final = timedelta(days=400)
MOST_LINES: Final = 200


def refresh(
    customer: Customer,
    subscribed: Subscribed | None,
    *,
    usage: UsageOf,
    owed: Iterable[Credit],
    now: datetime,
    changes: Sequence[PlanCharge] = (),
    beside: Iterable[Subscribed] = (),
) -> list[InvoiceDraft]:
    """Bring a customer's drafts up to date; they, the earliest first.

    `usage` is asked for each month that is billed, and tells what it knows of it; `owed` are all that the customer
    is owed for months whose promise was not kept: what is new of them is entered into the ledger; `changes` are its
    changes of plan; `beside` are subscriptions that are paid beside the one that counts, or were until their end.
    """
    for credit in owed:
        ledger.grant(customer, credit, now)
    with ledger.locked(customer.pk):
        billed = [*([subscribed] if subscribed is not None else []), *beside]
        kept = [draft for each in billed for draft in _computed(customer, each, usage, changes, now)]
        gone = InvoiceDraft.objects.filter(customer=customer, subscription_id__isnull=False)
        for draft in gone.exclude(pk__in=[row.pk for row in kept]):
            if draft.extra:
                draft.lines, draft.computed_at = [], now
                draft.save(update_fields=["lines", "computed_at"])
            else:
                draft.delete()
    return list(InvoiceDraft.objects.filter(customer=customer))


def _computed(
    customer: Customer, subscribed: Subscribed, usage: UsageOf, changes: Sequence[PlanCharge], now: datetime
) -> Iterator[InvoiceDraft]:
    terms, today = subscribed.terms, now.date()
    if subscribed.basis is Basis.LICENCE:
        for month in _stated(subscribed, today):
            lines = composing.statement_lines(terms, month, usage(month))
            ready = periods.next_month(month).first
            yield from _kept(customer, subscribed, DocumentKind.STATEMENT, ready, lines, now)
    charged = charging.amounts(_issued_lines(subscribed)) if changes else {}
    for step, then in charging.steps(subscribed, changes, today):
        if step.on >= today - LOOK_BACK:
            lines = composing.fees(then, step, {month: used for month in step.months if (used := usage(month))})
            net = sum(line.amount_minor for line in lines)
            lines += charging.lines(_own(changes, subscribed), step.on, charged, net)
            for draft in _kept(customer, subscribed, DocumentKind.INVOICE, step.on, lines, now):
                for change, amount in charging.amounts([document.lines_from_json(draft.lines)]).items():
                    charged[change] = charged.get(change, 0) + amount
                yield draft


def _own(changes: Sequence[PlanCharge], subscribed: Subscribed) -> list[PlanCharge]:
    """Those that are charged by this subscription's documents, in their currency."""
    currency = subscribed.terms.currency
    return [each for each in changes if each.subscription_id == subscribed.id and each.currency == currency]


def _issued_lines(subscribed: Subscribed) -> Iterator[tuple[Line, ...]]:
    """The lines of the subscription's issued invoices; what was credited of them is not charged again."""
    issued = Invoice.objects.filter(subscription_id=subscribed.id, kind=DocumentKind.INVOICE)
    for content in issued.values_list("document", flat=True):
        yield document.from_json(content).lines


def _stated(subscribed: Subscribed, today: date) -> Iterator[Month]:
    """The months of a statement: those since the subscription began, the running one too."""
    ends = subscribed.cancel_at.date() if subscribed.cancel_at else None
    following = periods.next_month(periods.month_of(today)).first
    return periods.months_between(max(subscribed.starts_at.date(), today - LOOK_BACK), following, ends)


def _kept(
    customer: Customer, subscribed: Subscribed, kind: DocumentKind, on: date, lines: list[Line], now: datetime
) -> Iterator[InvoiceDraft]:
    """The draft of a day, unless it was issued or nothing stands on it."""
    key: dict[str, Any] = {"kind": kind, "subscription_id": subscribed.id}
    if Invoice.objects.filter(customer_id=customer.pk, step_on=on, **key).exists():
        return
    there = InvoiceDraft.objects.filter(customer=customer, ready_on=on, **key).first()
    if not lines and (there is None or not there.extra):
        return
    draft = there or InvoiceDraft(customer=customer, ready_on=on, **key)
    draft.currency, draft.payment_days = subscribed.terms.currency, subscribed.terms.payment_days
    draft.lines, draft.computed_at = [document.to_json(line) for line in lines], now
    draft.save()
    yield draft


def make(
    customer: Customer, *, currency: str, lines: Iterable[Line], now: datetime, payment_days: int = 30
) -> InvoiceDraft:
    """A draft of lines that are given, for no subscription; it can be issued at once. Raises ProblemError."""
    given = list(lines)
    if currency not in CURRENCIES:
        raise ProblemError(f"the currency must be one of {', '.join(CURRENCIES)}", field="currency")
    if not given:
        raise ProblemError("an invoice needs a line", field="lines")
    for line in given:
        _check(line)
    with ledger.locked(customer.pk):
        draft = InvoiceDraft.objects.create(
            customer=customer,
            ready_on=now.date(),
            currency=currency,
            payment_days=payment_days,
            extra=[document.to_json(line) for line in given],
            computed_at=now,
        )
        total = text(sum(line.amount_minor for line in given), currency)
        recording.record("invoice.draft", customer=customer, target=f"draft {draft.pk}", net=total)
    return draft


def add_line(draft: InvoiceDraft, line: Line) -> InvoiceDraft:
    """Add a line to a draft, which stays on it when it is recomputed: a change of plan, say. Raises ProblemError."""
    _check(line)
    with ledger.locked(draft.customer_id):
        there = InvoiceDraft.objects.filter(pk=draft.pk).first()
        if there is None:
            raise ProblemError("this draft was issued or withdrawn in the meantime")
        if len(there.extra) >= MOST_LINES:
            raise ProblemError(f"a draft has at most {MOST_LINES} lines that are entered by hand")
        there.extra = [*there.extra, document.to_json(line)]
        there.save(update_fields=["extra"])
        amount = text(line.amount_minor, there.currency)
        recording.record(
            "invoice.draft", customer=there.customer_id, target=f"draft {there.pk}", line=line.text, net=amount
        )
    return there


def withdraw(draft: InvoiceDraft) -> None:
    """Delete a draft that was made by hand; one of a subscription comes back by itself, so that is refused."""
    if draft.subscription_id is not None:
        raise ProblemError("this draft follows from a subscription: change that instead")
    with ledger.locked(draft.customer_id):
        draft.delete()
        recording.record("invoice.withdraw_draft", customer=draft.customer_id, target=f"draft {draft.pk}")


def lines_of(draft: InvoiceDraft) -> list[Line]:
    """All that stands on a draft: what was computed, what was entered, and the SLA credits that it would use."""
    lines = [*document.lines_from_json(draft.lines), *document.lines_from_json(draft.extra)]
    if draft.kind != DocumentKind.INVOICE:
        return lines
    left = ledger.credits_left(draft.customer_id, draft.currency)
    # Drafts before this one come first, so that no credit is shown on two.
    own = InvoiceDraft.objects.filter(customer_id=draft.customer_id, currency=draft.currency, kind=draft.kind)
    for before in own.filter(Q(ready_on__lt=draft.ready_on) | Q(ready_on=draft.ready_on, pk__lt=draft.pk)):
        charged = [*document.lines_from_json(before.lines), *document.lines_from_json(before.extra)]
        left = composing.credits_after(left, sum(line.amount_minor for line in charged))
    return [*lines, *composing.credit_lines(left, sum(line.amount_minor for line in lines))]


def _check(line: Line) -> None:
    if not line.text.strip() or len(line.text) > 200 or not line.text.isprintable():
        raise ProblemError("a line needs a text of at most 200 printable characters", field="text")
    if line.unit_minor < 0:
        raise ProblemError("a price is not below nothing: a reduction has a quantity below nothing", field="unit")
    if abs(line.amount_minor) > 10**12:
        raise ProblemError("the amount of a line is too large", field="unit")
