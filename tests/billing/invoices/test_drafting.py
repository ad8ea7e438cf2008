"""Drafts follow from the subscription's days, not from the days on which the timetable ran."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from pytest_django import Settings

from billing.facts import Basis, Credit, Month, Usage
from billing.invoices import daily, drafting, issuing, ledger
from billing.invoices.document import Line, from_json
from billing.invoices.sources import Sources
from billing.models import BillingProfile, Invoice, InvoiceDraft
from tenants.models import Customer
from tenants.problem import ProblemError
from tests.billing.invoices.making import NOW, TERMS, at, billed, issued, subscribed

pytestmark = pytest.mark.django_db
START = at(2026, 1, 31)


def usage(month: Month) -> Usage:
    """More devices from month to month."""
    return Usage(month, 1_000, 1_990 + 10 * month.month, 2, None)


def refresh(customer: Customer, now: datetime, **more: Any) -> list[InvoiceDraft]:
    start = more.pop("start", START)
    return drafting.refresh(customer, subscribed(customer, start, **more), usage=usage, owed=[], now=now)


def content(drafts: list[InvoiceDraft]) -> list[tuple[Any, ...]]:
    return [(str(draft.ready_on), draft.kind, draft.lines) for draft in drafts]


def test_forty_days_without_the_timetable_end_in_the_same_drafts_as_daily_runs(
    acme: Customer, settings: Settings
) -> None:
    cosmos = billed(Customer.objects.create(name="Cosmos", slug="cosmos", offer="hpns"))
    for day in range(60):
        refresh(acme, START + timedelta(days=day))
    for day in (0, 19, 59):
        refresh(cosmos, START + timedelta(days=day))
    found = content(list(InvoiceDraft.objects.filter(customer=acme)))
    assert found == content(list(InvoiceDraft.objects.filter(customer=cosmos)))
    assert [day for day, *_ in found] == ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"][: len(found)]


def test_the_same_day_twice_changes_nothing_and_a_clock_set_back_takes_nothing_that_was_issued(acme: Customer) -> None:
    first = refresh(acme, at(2026, 3, 5))
    assert content(refresh(acme, at(2026, 3, 5))) == content(first)
    made = issuing.issue(first[0], now=at(2026, 3, 5))
    assert [str(draft.ready_on) for draft in refresh(acme, at(2026, 2, 1))] == ["2026-02-28"]
    assert [str(draft.ready_on) for draft in refresh(acme, at(2026, 3, 6))] == ["2026-02-28", "2026-03-31"]
    assert (Invoice.objects.get(), made.step_on) == (made, first[0].ready_on)


def test_a_draft_bills_the_period_that_begins_and_the_devices_of_the_month_that_ended(acme: Customer) -> None:
    draft = refresh(acme, at(2026, 3, 5))[1]
    (fee,) = drafting.lines_of(draft)  # January's 2,000 devices are included
    assert (str(fee.start), str(fee.end), fee.amount_minor) == ("2026-02-28", "2026-03-30", 49_900)
    _, beyond = drafting.lines_of(refresh(acme, at(2026, 3, 5))[2])
    assert (str(beyond.start), str(beyond.end), beyond.amount_minor) == ("2026-02-01", "2026-02-28", 10 * 25)


def test_a_draft_cannot_be_issued_before_its_day_nor_twice(acme: Customer) -> None:
    draft = refresh(acme, at(2026, 3, 5))[-1]
    with pytest.raises(ProblemError, match=f"can be issued from {draft.ready_on} on"):
        issuing.issue(draft, now=at(2026, 3, 5))
    with pytest.raises(ProblemError, match="computed on 2026-03-05, before its day"):
        issuing.issue(draft, now=at(2026, 3, 31))
    refresh(acme, at(2026, 3, 31))
    issuing.issue(draft, now=at(2026, 3, 31))
    with pytest.raises(ProblemError, match="was issued or withdrawn"):
        issuing.issue(draft, now=at(2026, 3, 31))


def test_lines_that_were_entered_stay_when_a_draft_is_computed_anew(acme: Customer) -> None:
    draft = refresh(acme, at(2026, 2, 1))[0]
    drafting.add_line(draft, Line("Change of plan, 12 days", 1_234))
    refresh(acme, at(2026, 2, 2))
    again = InvoiceDraft.objects.get(pk=draft.pk)
    assert drafting.lines_of(again)[-1].text == "Change of plan, 12 days"
    drafting.refresh(acme, None, usage=usage, owed=[], now=at(2026, 2, 3))
    assert [line.text for line in drafting.lines_of(InvoiceDraft.objects.get())] == ["Change of plan, 12 days"]


@pytest.mark.parametrize("basis", [Basis.FREE, Basis.TRIAL])
def test_what_is_free_or_tried_is_not_billed(acme: Customer, basis: Basis) -> None:
    assert refresh(acme, at(2026, 6, 1), basis=basis) == []


def sources(customer: Customer, credits_of: Callable[[Customer], list[Credit]], basis: Basis) -> Sources:
    terms = TERMS._replace(plan="HPNS with licence")
    agreed = subscribed(customer, at(2026, 9, 10), basis=basis, terms=terms)
    return Sources(lambda _: agreed, lambda _, month: usage(month), credits_of)


def test_an_included_customer_gets_a_statement_of_nothing_each_month_with_its_credit(acme: Customer) -> None:
    BillingProfile.objects.all().delete()
    credit = Credit(acme.pk, Month(2026, 9), 10, 4_990, "EUR", "cd" * 32)
    given = sources(acme, lambda _: [credit], Basis.LICENCE)
    run = daily.run(given, at(2026, 11, 2))
    assert (run.statements, run.failed) == (2, 0)
    first, second = (from_json(row.document) for row in Invoice.objects.order_by("sequence"))
    assert (first.number, first.gross_minor, first.taxes, first.credit_minor) == ("ST-2026-00001", 0, (), 4_990)
    assert "1,000 pushes to 2,080 active devices of 2 servers" in first.lines[0].detail
    assert (str(second.lines[0].start), second.due_on) == ("2026-10-01", None)
    assert ledger.credit_minor(acme.pk, "EUR") == 4_990
    assert daily.run(given, at(2026, 11, 2)).statements == 0
    assert [str(draft.ready_on) for draft in InvoiceDraft.objects.all()] == ["2026-12-01"]


def test_a_statement_waits_for_the_credit_of_its_month_but_not_for_ever(acme: Customer) -> None:
    judged = []
    given = sources(acme, lambda _: [], Basis.LICENCE)._replace(judged=lambda _customer, month: month in judged)
    assert daily.run(given, at(2026, 10, 1)).statements == 0
    judged.append(Month(2026, 9))
    assert daily.run(given, at(2026, 10, 2)).statements == 1
    assert daily.run(given, at(2026, 11, 7)).statements == 0
    assert daily.run(given, at(2026, 11, 8)).statements == 1


def test_invoices_wait_for_staff_and_one_customers_trouble_is_its_own(acme: Customer) -> None:
    other = Customer.objects.create(name="Aaa", slug="aaa", offer="hpns")

    def credits_of(customer: Customer) -> list[Credit]:
        if customer.pk == other.pk:
            raise ProblemError("the SLA's ledger cannot be read")
        return []

    run = daily.run(sources(acme, credits_of, Basis.PAID), at(2026, 11, 2))
    assert (run.failed, run.statements) == (1, 0)
    assert InvoiceDraft.objects.filter(customer=acme).count() == run.drafts == 3
    assert not Invoice.objects.exists()


def test_without_a_seller_or_an_address_nothing_is_issued_and_it_is_said_what_is_missing(
    acme: Customer, settings: Settings
) -> None:
    draft = drafting.make(acme, currency="EUR", lines=[Line("x", 100)], now=NOW)
    settings.SELLER = '{"name": "Push GmbH"}'
    with pytest.raises(ProblemError, match=r"SELLER has no address; SELLER has no postcode"):
        issuing.issue(draft, now=NOW)
    settings.SELLER = ""
    with pytest.raises(ProblemError, match="SELLER is not set"):
        issuing.issue(draft, now=NOW)


def test_a_customer_without_an_address_is_not_billed_and_what_was_issued_keeps_the_old_one(acme: Customer) -> None:
    made = issued(acme)
    billed(acme, name="Acme Renamed", country="US")
    assert from_json(Invoice.objects.get(pk=made.pk).document).buyer.country == "DE"
    assert from_json(issued(acme).document).taxes[0].category == "O"
    BillingProfile.objects.all().delete()
    with pytest.raises(ProblemError, match="has no billing address"):
        issued(acme)
