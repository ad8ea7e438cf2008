"""Starting, cancelling, overriding and changing plans: what is allowed, what it comes to, and what is noted of it."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from billing.facts import State
from billing.models import PlanChange, PlanVersion, Subscription
from billing.subscriptions import changing, plan_changes, plans, reading
from billing.subscriptions.plan_changes import Quote
from tenants.models import AuditEvent
from tenants.problem import ProblemError
from tests.billing.subscriptions.agreed import DAY, invoice, proof
from tests.billing.subscriptions.conftest import Facts, entitled
from tests.billing.subscriptions.test_applying import START, begin
from tests.browsing import Tenant

pytestmark = pytest.mark.django_db


def quote(acme: Tenant, facts: Facts, code: str, now: datetime) -> Quote:
    found = reading.current(acme.customer, now, facts.sources)
    assert found is not None
    return plan_changes.quote(found, reading.version(code), now)


def test_a_subscription_is_started_with_its_terms_and_noted(acme: Tenant, facts: Facts) -> None:
    row = begin(acme, "hpns", facts)
    terms = reading.terms(acme.customer, START)
    assert terms is not None
    assert (terms.plan, terms.price_minor, terms.currency, terms.sla, row.anchor_at) == (
        "hpns", 49_900, "EUR", True, START,
    )  # fmt: skip
    noted = AuditEvent.objects.get(action="subscription.start").details
    assert (noted["price_minor"], noted["currency"], noted["starts"]) == (49_900, "EUR", "2026-01-31 00:00:00+00:00")
    with pytest.raises(ProblemError, match="at that time already"):
        begin(acme, "hpns", facts)


@pytest.mark.parametrize("more", [{"trial_days": 0}, {"trial_days": 366}, {"trial_days": -1}])
def test_a_trial_lasts_as_its_plan_says_and_within_bounds(acme: Tenant, facts: Facts, more: dict[str, int]) -> None:
    with pytest.raises(ProblemError, match="a trial lasts"):
        begin(acme, "trial", facts, **more)
    assert begin(acme, "trial", facts).trial_ends_at == START + 30 * DAY


def test_who_has_a_version_keeps_it_when_the_price_changes(acme: Tenant, facts: Facts) -> None:
    begin(acme, "hpns", facts)
    plan = reading.version("hpns").plan
    assert plans.add_version(plan=plan, wanted={"price_minor": 59_900}).changed
    assert not plans.add_version(plan=plan, wanted={"price_minor": 59_900}).changed
    assert reading.version("hpns").price_minor == 59_900
    terms = reading.terms(acme.customer, START)
    assert (terms.version, terms.price_minor) == (1, 49_900)  # type: ignore[union-attr]
    with pytest.raises(ProblemError, match="restricted comes before suspended"):
        plans.add_version(plan=plan, wanted={"restricted_after": 46})


def test_a_cancellation_can_be_taken_back_until_its_date_and_not_after(acme: Tenant, facts: Facts) -> None:
    row, end = begin(acme, "hpns", facts), START + 28 * DAY
    with pytest.raises(ProblemError, match="must be ahead"):
        changing.cancel(subscription=row, at=START - DAY, now=START)
    assert changing.cancel(subscription=row, at=end, now=START, sources=facts.sources).changed
    assert entitled(acme.customer) == ("", True)
    assert changing.keep(subscription=row, now=end - DAY, sources=facts.sources).changed
    assert not changing.keep(subscription=row, now=end - DAY, sources=facts.sources).changed
    changing.cancel(subscription=row, at=end, now=START, sources=facts.sources)
    for late in (
        lambda: changing.keep(subscription=row, now=end, sources=facts.sources),
        lambda: changing.cancel(subscription=row, at=end + DAY, now=end, sources=facts.sources),
    ):
        with pytest.raises(ProblemError, match="ended with 27 February 2026"):
            late()


def test_staff_have_one_served_with_a_reason_and_an_end(acme: Tenant, facts: Facts) -> None:
    row = begin(acme, "trial", facts)
    now = START + 40 * DAY
    for wrong in ({"until": now, "reason": "x"}, {"until": now + 400 * DAY, "reason": "x"},
                  {"until": now + DAY, "reason": "  "}):  # fmt: skip
        given: dict[str, Any] = wrong
        with pytest.raises(ProblemError):
            changing.override(subscription=row, now=now, sources=facts.sources, **given)
    changing.override(subscription=row, until=now + 14 * DAY, reason="Order is signed", now=now, sources=facts.sources)
    assert entitled(acme.customer) == ("", True)
    assert AuditEvent.objects.get(action="subscription.override").details["reason"] == "Order is signed"
    assert changing.withdraw_overrides(subscription=row, now=now + DAY, sources=facts.sources).changed
    assert entitled(acme.customer) == ("subscription_unpaid", False)


def test_a_change_in_the_middle_costs_what_was_shown_for_the_whole_day(acme: Tenant, facts: Facts) -> None:
    row = begin(acme, "hpns", facts)  # on 31 January: its period ends with February
    now = datetime.fromisoformat("2026-02-14T17:45+00:00")
    shown = quote(acme, facts, "eas", now)
    assert (shown.unused_minor, shown.due_minor, shown.amount_minor) == (24_950, 39_950, 15_000)
    later = now + timedelta(hours=6)
    with pytest.raises(ProblemError, match="days are counted"):
        plan_changes.change(
            customer=acme.customer, code="eas", now=later + DAY, confirmed_minor=15_000, sources=facts.sources
        )
    assert quote(acme, facts, "eas", now + timedelta(hours=6)).amount_minor == 15_000
    plan_changes.change(customer=acme.customer, code="eas", now=later, confirmed_minor=15_000, sources=facts.sources)
    (made,) = reading.changes(acme.customer, now, now + DAY)
    assert (made.amount_minor, made.currency, made.before, made.subscription) == (15_000, "EUR", row.version, row)
    noted = AuditEvent.objects.get(action="subscription.change").details
    assert (noted["amount_minor"], noted["before"]) == (15_000, "HPNS stand-alone (version 1)")
    assert Subscription.objects.get().anchor_at == START


def test_a_change_to_years_begins_a_year_less_what_is_left(acme: Tenant, facts: Facts) -> None:
    begin(acme, "hpns", facts)
    now = datetime.fromisoformat("2026-02-14T17:45+00:00")
    shown = quote(acme, facts, "hpns-year", now)
    assert shown.amount_minor == 499_000 - 24_950
    row = plan_changes.change(customer=acme.customer, code="hpns-year", now=now, sources=facts.sources).row
    assert reading.period_of(row, now).end == datetime.fromisoformat("2027-02-14T00:00+00:00")


def test_a_plan_that_is_chosen_on_trial_costs_nothing_until_the_trial_ends(acme: Tenant, facts: Facts) -> None:
    row = begin(acme, "trial", facts)
    assert quote(acme, facts, "hpns", START + DAY).amount_minor == 0
    plan_changes.change(customer=acme.customer, code="hpns", now=START + DAY, listed_only=True, sources=facts.sources)
    row.refresh_from_db()
    assert (row.basis, row.anchor_at, row.trial_ends_at) == ("paid", START + 30 * DAY, START + 30 * DAY)
    found = reading.current(acme.customer, START + 31 * DAY, facts.sources)
    assert found is not None
    assert found.standing.state is State.ACTIVE


@pytest.mark.parametrize("code", ["trial", "free", "e1"])
def test_who_has_stopped_or_pays_nothing_begins_with_a_plan_of_its_own(acme: Tenant, facts: Facts, code: str) -> None:
    begin(acme, code, facts)
    now = START + 40 * DAY
    assert {row.version.plan.code for row in plan_changes.choices(reading.current(acme.customer, now), now)} == {
        "hpns", "hpns-year", "eas",
    }  # fmt: skip
    plan_changes.change(
        customer=acme.customer, code="hpns", now=now, confirmed_minor=49_900, listed_only=True, sources=facts.sources
    )
    assert entitled(acme.customer) == ("", True)
    assert reading.terms(acme.customer, now).plan == "hpns"  # type: ignore[union-attr]
    assert not PlanChange.objects.exists()


def test_nobody_changes_away_from_a_debt_or_pays_beside_a_good_licence(acme: Tenant, facts: Facts) -> None:
    row = begin(acme, "hpns", facts)
    facts.invoices.append(invoice(START + DAY, row.pk))
    with pytest.raises(ProblemError, match="past due"):
        plan_changes.change(customer=acme.customer, code="eas", now=START + 2 * DAY, sources=facts.sources)
    facts.invoices.clear()
    changing.cancel(subscription=row, at=START + 3 * DAY, now=START + 2 * DAY, sources=facts.sources)
    facts.proofs.append(proof(START, START + 365 * DAY, acme.customer.pk))
    begin(acme, "e1", facts, START + 4 * DAY)
    assert plan_changes.choices(reading.current(acme.customer, START + 4 * DAY, facts.sources), START + 4 * DAY) == []


def test_owners_choose_of_listed_plans_in_their_currency(acme: Tenant, facts: Facts) -> None:
    begin(acme, "hpns", facts)
    plan = reading.version("eas").plan
    PlanVersion.objects.filter(plan=plan).update(currency="USD")
    found = reading.current(acme.customer, START, facts.sources)
    assert [row.version.plan.code for row in plan_changes.choices(found, START)] == ["hpns-year"]
    with pytest.raises(ProblemError, match="priced in USD"):
        plan_changes.change(customer=acme.customer, code="eas", now=START, sources=facts.sources)
    with pytest.raises(ProblemError, match="given by staff"):
        plan_changes.change(customer=acme.customer, code="e1", now=START, listed_only=True, sources=facts.sources)
    with pytest.raises(ProblemError, match="there is no plan 'x'"):
        reading.version("x")
