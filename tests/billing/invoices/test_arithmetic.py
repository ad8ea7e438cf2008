"""Sums of documents: half up for each line, VAT for each rate on the sum, and never a cent that nobody can find."""

import itertools
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.facts import Basis, Month, Subscribed, Usage
from billing.invoices import composing, periods, taxes
from billing.invoices.composing import MonthCredit
from billing.invoices.document import Document, Line, Party, from_json, tax, to_json
from billing.invoices.periods import Step, add_months, steps
from tenants.problem import ProblemError
from tests.billing.invoices.making import TERMS, document

LINES = st.lists(
    st.builds(
        Line,
        text=st.just("x"),
        unit_minor=st.integers(0, 10**7),
        quantity=st.decimals(-1000, 100_000, places=3, allow_nan=False, allow_infinity=False),
    ),
    min_size=1,
    max_size=40,
)


@given(LINES, st.sampled_from(["19", "7", "20", "25.5", "0"]))
def test_the_total_is_the_sum_of_rounded_lines_and_one_rounded_tax(lines: list[Line], rate: str) -> None:
    made = tax(lines, "S", Decimal(rate), "")
    for line in lines:
        assert abs(Decimal(line.amount_minor) - line.quantity * line.unit_minor) <= Decimal("0.5")
    assert made.net_minor == sum(line.amount_minor for line in lines)
    assert abs(Decimal(made.tax_minor) - made.net_minor * Decimal(rate) / 100) <= Decimal("0.5")


@given(LINES)
def test_a_document_is_the_same_after_it_was_kept_as_json(lines: list[Line]) -> None:
    made = document(lines)
    assert from_json(to_json(made)) == made


def test_tax_on_the_sum_is_not_the_sum_of_taxes_of_lines() -> None:
    lines = [Line("x", 1, Decimal(1))] * 3
    assert tax(lines, "S", Decimal(19), "").tax_minor == 1  # each line's alone would be nothing


@pytest.mark.parametrize(("quantity", "amount"), [("0.5", 1), ("-0.5", -1), ("0.4999", 0), ("1.5", 2), ("2.5", 3)])
def test_a_half_goes_away_from_zero(quantity: str, amount: int) -> None:
    assert Line("x", 1, Decimal(quantity)).amount_minor == amount


# --- Treatment


def party(country: str, vat_id: str = "") -> Party:
    return Party("x", "x", "x", "x", country, vat_id)


@pytest.mark.parametrize(
    ("seller", "country", "vat_id", "exemption", "category", "rate"),
    [
        ("DE", "DE", "DE136695976", "", "S", 19),
        ("DE", "BE", "BE0428759497", "", "AE", 0),
        ("DE", "FR", "", "", "S", 19),  # not known to be a business
        ("DE", "US", "", "", "O", 0),
        ("DE", "CH", "CHE-1", "", "O", 0),
        ("US", "DE", "DE136695976", "", "O", 0),
        ("US", "US", "", "", "S", 19),
        ("DE", "DE", "", "Small business", "E", 0),
        ("DE", "BE", "BE0428759497", "Small business", "E", 0),
    ],
)
def test_each_pair_of_countries_is_taxed_by_its_rule(
    seller: str, country: str, vat_id: str, exemption: str, category: str, rate: int
) -> None:
    found = taxes.treatment(party(seller), party(country, vat_id), Decimal(19), exemption)
    assert (found.category, found.rate) == (category, rate)
    assert bool(found.reason) is (category != "S")


def test_a_vat_id_is_written_in_one_way_and_a_wrong_one_is_told_in_plain_words() -> None:
    assert taxes.normalised_vat_id(" de 136 695 976 ", "DE") == "DE136695976"
    assert taxes.normalised_vat_id("el094259216", "GR") == "EL094259216"
    assert taxes.normalised_vat_id("", "DE") == ""
    for wrong, country, why in (
        ("DE136695977", "DE", "missing, too many or wrong"),
        ("BE0428759497", "DE", "has to begin with DE"),
        ("GR094259216", "GR", "has to begin with EL"),
        ("DE1", "DE", "missing"),
    ):
        with pytest.raises(ProblemError, match=why):
            taxes.normalised_vat_id(wrong, country)


# --- Periods


def paid(start: datetime, months: int = 1, trial: datetime | None = None, ends: datetime | None = None) -> Subscribed:
    return Subscribed(1, 1, Basis.PAID, TERMS._replace(period_months=months), start, trial, ends, None)


def test_a_month_that_has_no_such_day_ends_a_period_on_its_last() -> None:
    found = list(steps(paid(datetime(2028, 1, 31, tzinfo=UTC)), date(2028, 4, 1)))
    assert [step.on for step in found] == [date(2028, 1, 31), date(2028, 2, 29), date(2028, 3, 31), date(2028, 4, 30)]
    assert [step.period and step.period[1] for step in found[:2]] == [date(2028, 2, 28), date(2028, 3, 30)]


@given(st.dates(date(2024, 1, 1), date(2031, 1, 1)), st.sampled_from([1, 12]), st.integers(1, 60))
def test_periods_leave_no_day_out_and_each_month_is_billed_once(first: date, length: int, months: int) -> None:
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    found = list(steps(paid(start, length), add_months(first, months)))
    begun = [step.period for step in found if step.period]
    for before, after in itertools.pairwise(begun):
        assert (after[0] - before[1]).days == 1
    billed = [month for step in found for month in step.months]
    assert billed == sorted(set(billed))
    for step in found:
        assert all(periods.next_month(month).first <= step.on for month in step.months)
    if billed:
        assert billed[0] == periods.month_of(first)
        assert len(billed) == (billed[-1].year - billed[0].year) * 12 + billed[-1].month - billed[0].month + 1


def test_a_trial_is_not_billed_and_a_cancelled_subscription_is_billed_to_its_end() -> None:
    trial_ends, ends = datetime(2026, 3, 10, tzinfo=UTC), datetime(2026, 5, 20, tzinfo=UTC)
    found = list(steps(paid(datetime(2026, 2, 8, tzinfo=UTC), trial=trial_ends, ends=ends), date(2027, 1, 1)))
    assert [step.on for step in found if step.period] == [date(2026, m, 10) for m in (3, 4, 5)]
    assert [month for step in found for month in step.months] == [Month(2026, 3), Month(2026, 4), Month(2026, 5)]
    assert found[-1].on == date(2026, 6, 10)


# --- Lines


def test_devices_beyond_those_included_are_billed_for_each_month_that_ended() -> None:
    step = Step(date(2026, 12, 1), (date(2026, 12, 1), date(2026, 12, 31)), (Month(2026, 11),))
    used = {Month(2026, 11): Usage(Month(2026, 11), 1, 3_312, 2, None)}
    fee, beyond = composing.fees(TERMS, step, used)
    assert (fee.amount_minor, fee.start) == (49_900, date(2026, 12, 1))
    assert (beyond.quantity, beyond.amount_minor, beyond.end) == (1_312, 32_800, date(2026, 11, 30))
    within = {Month(2026, 11): Usage(Month(2026, 11), 1, 2_000, 2, None)}
    assert len(composing.fees(TERMS, step, within)) == 1
    assert len(composing.fees(TERMS, step, {})) == 1


def test_credits_are_used_the_oldest_first_and_never_beyond_what_is_billed() -> None:
    left = [MonthCredit(Month(2026, 10), 25, 4_000, "b"), MonthCredit(Month(2026, 9), 10, 3_000, "a")]
    found = composing.credit_lines(left, 5_000)
    assert [(line.month, line.amount_minor, line.root) for line in found] == [
        ("2026-09", -3_000, "a"),
        ("2026-10", -2_000, "b"),
    ]
    assert composing.credit_lines(left, 0) == []
    made: Document = document([Line("x", 5_000), *found])
    assert made.gross_minor == 0
