"""Calendar months in UTC: their bounds, and what people write for one."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from billing.facts import Month
from billing.usage import months
from tenants.problem import ProblemError
from tests.billing.usage.used import at


def test_a_leap_february_has_29_days_and_another_28() -> None:
    assert [months.days(Month(year, 2)) for year in (2027, 2028, 2100, 2400)] == [28, 29, 28, 29]


def test_a_month_ends_where_the_next_one_begins_also_at_the_end_of_a_year() -> None:
    assert months.ends(Month(2026, 12)) == months.begins(Month(2027, 1)) == datetime(2027, 1, 1, tzinfo=UTC)
    assert months.moved(Month(2027, 1), -1) == Month(2026, 12)
    assert months.moved(Month(2026, 11), -25) == Month(2024, 10)


def test_the_month_of_a_moment_is_that_of_utc_wherever_it_was_told() -> None:
    tokyo = datetime(2026, 12, 1, 3, tzinfo=timezone(timedelta(hours=9)))
    assert months.month_of(tokyo) == Month(2026, 11)


def test_a_month_is_over_with_its_last_moment_and_can_be_closed_two_days_later() -> None:
    end = at(12, 1, 0)
    assert not months.over(Month(2026, 11), end - timedelta(microseconds=1))
    assert months.over(Month(2026, 11), end)
    assert not months.ripe(Month(2026, 11), end + timedelta(days=2) - timedelta(microseconds=1))
    assert months.ripe(Month(2026, 11), end + timedelta(days=2))


def test_what_somebody_wrote_is_a_month() -> None:
    assert months.parse(" 2026-09 ", at(11, 20)) == Month(2026, 9)
    assert months.text(months.parse("2024-10", at(11, 20))) == "2024-10"


@pytest.mark.parametrize(
    ("written", "why"),
    [
        *((text, "year and month") for text in ("", "2026", "2026-13", "2026-00", "2026-1", "november", "2026-11-01")),
        ("٢٠٢٦-٠٩", "year and month"),
        ("2026-12", "December 2026 has not begun yet"),
        ("9999-12", "has not begun yet"),
        ("2024-09", "the earliest one is 2024-10"),
        ("0001-01", "the earliest one is"),
        ("0000-01", "the earliest one is"),
    ],
)
def test_what_is_none_is_refused_with_the_reason(written: str, why: str) -> None:
    with pytest.raises(ProblemError, match=why):
        months.parse(written, at(11, 20))
