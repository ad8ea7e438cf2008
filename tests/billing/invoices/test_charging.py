"""Changes of plan come on the next document, once each, and steps are billed by the terms of their own day."""

from datetime import date
from typing import Any

import pytest

from billing.facts import Credit, Month, PlanCharge, Terms, Usage
from billing.invoices import charging, composing, daily, document, drafting, issuing, ledger
from billing.invoices.sources import Sources
from billing.models import Invoice, InvoiceDraft
from billing.subscriptions import changing, plan_changes, reading
from tenants.models import Customer
from tests.billing.invoices.making import TERMS, at, subscribed
from tests.billing.subscriptions.agreed import seed

START = at(2026, 10, 1)
YEAR = TERMS._replace(plan="By the year", price_minor=499_000, period_months=12)


def charge(number: int, day: int, amount: int, before: Terms = TERMS, *, resets: bool = False) -> PlanCharge:
    """A change on a day of October."""
    until = date(2026, 10, 31)
    return PlanCharge(number, 7, at(2026, 10, day), before, f"Change {number}", amount, "EUR", until, resets)


def refresh(customer: Customer, now: Any, changes: list[PlanCharge], terms: Terms = TERMS) -> list[InvoiceDraft]:
    agreed = subscribed(customer, START, terms=terms)
    return drafting.refresh(customer, agreed, usage=lambda _: None, owed=[], now=now, changes=changes)


def amounts(draft: InvoiceDraft) -> list[int]:
    return [line.amount_minor for line in document.lines_from_json(draft.lines)]


@pytest.mark.django_db
def test_an_upgrade_comes_on_the_next_invoice_once_and_the_first_stays_as_it_was_agreed(acme: Customer) -> None:
    dearer = TERMS._replace(price_minor=79_900)
    changes = [charge(1, 11, 20_000)]
    for _ in range(2):
        first, second = refresh(acme, at(2026, 10, 12), changes, dearer)
        assert (amounts(first), amounts(second)) == ([49_900], [79_900, 20_000])
    for month in (10, 11):
        refresh(acme, at(2026, month, 20), changes, dearer)
        issuing.issue(InvoiceDraft.objects.order_by("ready_on").first(), now=at(2026, month, 20))  # type: ignore[arg-type]
        refresh(acme, at(2026, month, 21), changes, dearer)
    (third,) = refresh(acme, at(2026, 11, 21), changes, dearer)
    assert amounts(third) == [79_900]
    assert [row.net_minor for row in Invoice.objects.order_by("id")] == [49_900, 99_900]


@pytest.mark.django_db
def test_a_downgrade_is_a_credit_and_what_is_more_than_an_invoice_comes_on_the_one_after_it(acme: Customer) -> None:
    cheaper = TERMS._replace(price_minor=10_000)
    changes = [charge(1, 2, -25_000)]
    refresh(acme, at(2026, 10, 3), changes, cheaper)
    nets = []
    for month in (10, 11, 12):
        refresh(acme, at(2026, month, 5), changes, cheaper)
        draft = InvoiceDraft.objects.order_by("ready_on").first()
        assert draft is not None
        nets.append(issuing.issue(draft, now=at(2026, month, 5)).net_minor)
        refresh(acme, at(2026, month, 5), changes, cheaper)
    assert nets == [49_900, 0, 0]
    assert amounts(InvoiceDraft.objects.get()) == [10_000, -5_000]


@pytest.mark.django_db
def test_a_change_to_years_ends_the_months_and_its_first_year_is_charged_once(acme: Customer) -> None:
    changes = [charge(1, 20, 480_000, resets=True)]
    found = list(charging.steps(subscribed(acme, START, terms=YEAR), changes, date(2027, 10, 21)))
    periods = [step.period for step, _ in found if step.period]
    assert periods == [
        (date(2026, 10, 1), date(2026, 10, 31)),
        (date(2027, 10, 20), date(2028, 10, 19)),
    ]
    assert [terms.price_minor for step, terms in found if step.period] == [49_900, 499_000]
    months = [each.first for step, _ in found for each in step.months]
    assert months == sorted(set(months))  # each month's use is billed once
    assert [amounts(draft) for draft in refresh(acme, at(2026, 11, 25), changes, YEAR)] == [[49_900], [480_000]]


@pytest.mark.django_db
def test_an_sla_credit_is_shown_on_one_draft_and_its_rest_on_the_next(acme: Customer) -> None:
    ledger.grant(acme, Credit(acme.pk, Month(2026, 9), 50, 60_000, "EUR", "ab" * 32), START)
    drafts = refresh(acme, at(2026, 10, 3), [])
    shown = [[line.amount_minor for line in drafting.lines_of(draft)] for draft in drafts]
    assert shown == [[49_900, -49_900], [49_900, -10_100]]
    assert issuing.issue(drafts[0], now=at(2026, 10, 3)).net_minor == 0
    assert [line.amount_minor for line in drafting.lines_of(drafts[1])] == [49_900, -10_100]


def test_a_statement_counts_in_words_that_fit() -> None:
    used = Usage(Month(2026, 10), 1, 1, 1, None)
    (line,) = composing.statement_lines(TERMS, Month(2026, 10), used)
    assert line.detail.endswith(": 1 push to 1 active device of 1 server")


@pytest.mark.django_db
def test_a_change_that_was_confirmed_stands_on_the_next_draft(acme: Customer) -> None:
    seed()
    changing.start(customer=acme, version=reading.version("hpns"), now=START)
    done = plan_changes.change(customer=acme, code="eas", now=at(2026, 10, 16)).row
    made = reading.charges(acme)[0]
    sources = Sources(
        subscribed=lambda customer: reading.subscribed(customer, at(2026, 10, 16)),
        usage=lambda _customer, _month: None,
        credits=lambda _customer: [],
        changes=reading.charges,
    )
    first, second = daily.refresh(acme, sources, at(2026, 10, 17))
    assert (amounts(first), amounts(second)) == ([49_900], [79_900, made.amount_minor])
    assert made.amount_minor == done.changes.get().amount_minor > 0
