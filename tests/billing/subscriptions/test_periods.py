"""Billing periods and what is left of them: ends of months, leap days, remainders."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from billing.subscriptions.periods import Period, add_months, period, pro_rata

ANCHORS = st.datetimes(datetime(2024, 1, 1), datetime(2029, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def on(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}T00:00+00:00")


def test_a_month_that_begins_on_the_31st_begins_on_the_last_day_of_shorter_ones_and_then_on_the_31st_again() -> None:
    starts = [add_months(on("2028-01-31"), count).date().isoformat() for count in range(5)]
    assert starts == ["2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30", "2028-05-31"]
    assert period(on("2028-01-31"), 1, on("2028-03-30")) == Period(on("2028-02-29"), on("2028-03-31"))


def test_a_year_from_a_leap_day_ends_on_the_28th_and_the_fourth_one_on_the_29th() -> None:
    assert period(on("2024-02-29"), 12, on("2025-01-01")) == Period(on("2024-02-29"), on("2025-02-28"))
    assert period(on("2024-02-29"), 12, on("2028-03-01")).start == on("2028-02-29")


@given(ANCHORS, st.sampled_from([1, 12]), st.integers(0, 2_000), st.integers(0, 86_399))
def test_periods_follow_each_other_without_a_gap(anchor: datetime, months: int, days: int, seconds: int) -> None:
    at = anchor + timedelta(days=days, seconds=seconds)
    found = period(anchor, months, at)
    assert found.start <= at < found.end
    assert period(anchor, months, found.end).start == found.end
    assert period(anchor, months, found.end - timedelta(microseconds=1)) == found


def test_a_change_in_the_middle_pays_for_the_rest_alone_with_remainders_rounded_half_up() -> None:
    april = Period(on("2026-04-01"), on("2026-05-01"))
    assert pro_rata(49_900, 79_900, april, 1, on("2026-04-16"), same_length=True).amount_minor == 15_000
    odd = pro_rata(10_000, 0, april, 1, on("2026-04-11"), same_length=True)
    assert (odd.unused_minor, odd.due_minor, odd.amount_minor) == (6_667, 0, -6_667)
    half = pro_rata(1, 0, april, 1, on("2026-04-16"), same_length=True)
    assert half.unused_minor == 1  # half a cent, in the customer's favour


def test_a_change_to_another_length_begins_a_period_of_its_own_less_what_is_left() -> None:
    april = Period(on("2026-04-01"), on("2026-05-01"))
    found = pro_rata(49_900, 499_000, april, 12, on("2026-04-16"), same_length=False)
    assert (found.amount_minor, found.period) == (499_000 - 24_950, Period(on("2026-04-16"), on("2027-04-16")))


@given(ANCHORS, st.integers(0, 10**7), st.integers(0, 30 * 86_400))
def test_to_change_and_back_again_at_once_costs_nothing(anchor: datetime, minor: int, seconds: int) -> None:
    at = anchor + timedelta(seconds=seconds)
    now = period(anchor, 1, at)
    there = pro_rata(minor, 2 * minor + 1, now, 1, at, same_length=True).amount_minor
    assert there + pro_rata(2 * minor + 1, minor, now, 1, at, same_length=True).amount_minor == 0
    assert pro_rata(minor, minor, now, 1, at, same_length=True).amount_minor == 0
