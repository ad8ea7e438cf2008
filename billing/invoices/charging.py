"""Changes of plan on documents: which terms a step is billed by, and the lines of what a change itself comes to. Pure.

What a change comes to stands on the next document of its subscription, in full or, of a credit that is more than the
rest, as far as that goes: what is left comes on the one after it. So each amount is used once, however often drafts are
computed anew.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal

from billing.facts import PlanCharge, Subscribed, Terms
from billing.invoices import periods
from billing.invoices.document import Line
from billing.invoices.periods import Step


def steps(subscribed: Subscribed, charges: Sequence[PlanCharge], until: date) -> Iterator[tuple[Step, Terms]]:
    """The steps of a subscription with the terms of each: those that were agreed on when it came.

    A change to another length of period ends the steps there were, and counts anew from its day on; the period that
    begins on that day is charged by the change.
    """
    own = sorted((each for each in charges if each.subscription_id == subscribed.id), key=lambda each: each.at)
    before: date | None = None
    part, last = subscribed, None
    for reset in [*(each for each in own if each.resets), None]:
        end = reset.at.date() if reset else None
        terms = reset.before if reset else subscribed.terms
        for step in periods.steps(part._replace(terms=terms), min(until, end) if end else until, since=before):
            if end is not None and step.on >= end:
                break
            yield step, _terms(subscribed, own, step.on)
            last = step.on
        before = last
        if reset is not None:
            part = part._replace(starts_at=reset.at, trial_ends_at=None)


def lines(charges: Iterable[PlanCharge], on: date, used: Mapping[int, int], net_minor: int) -> list[Line]:
    """The lines of changes that were made before the day of a document. `used`: by change, what stands on others
    already; `net_minor`: what the other lines come to, of which credits take no more than there is."""
    found = []
    for each in sorted(charges, key=lambda each: (each.amount_minor < 0, each.at, each.id)):
        left = each.amount_minor - used.get(each.id, 0)
        amount = left if left >= 0 else -min(-left, max(0, net_minor))
        if not amount or each.at.date() >= on or left * each.amount_minor < 0:
            continue
        quantity = Decimal(1 if amount > 0 else -1)
        found.append(Line(each.text, abs(amount), quantity, each.at.date(), each.until, change=each.id))
        net_minor += amount
    return found


def amounts(documents: Iterable[Iterable[Line]]) -> dict[int, int]:
    """What of each change stands on documents already, by the change's number."""
    found: dict[int, int] = {}
    for each in documents:
        for line in each:
            if line.change:
                found[line.change] = found.get(line.change, 0) + line.amount_minor
    return found


def _terms(subscribed: Subscribed, own: Sequence[PlanCharge], on: date) -> Terms:
    """The terms that a step of that day is billed by."""
    later = (each.before for each in own if each.at.date() >= on)
    return next(later, subscribed.terms)
