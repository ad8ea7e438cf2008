"""The forecast of a month's pushes: plain, and silent where too little is known."""

from hypothesis import given
from hypothesis import strategies as st

from billing.facts import Month
from billing.usage import months
from billing.usage.forecast import forecast, rounded

NOVEMBER = Month(2026, 11)  # begins on a Sunday, and has 30 days


def test_there_is_none_of_fewer_than_three_whole_days() -> None:
    assert forecast(NOVEMBER, [10, 10, 10], 3) is None
    assert forecast(NOVEMBER, [10, 10, 10, 0], 4) == 300


def test_days_before_the_first_push_do_not_count() -> None:
    assert forecast(NOVEMBER, [0, 0, 0, 0, 0, 9], 6) is None
    assert forecast(NOVEMBER, [*[0] * 20, 10, 10, 10, 0], 24) == 30 + 7 * 10


def test_each_day_to_come_is_the_mean_of_the_same_weekdays() -> None:
    # Two weeks: 100 on working days, 10 at weekends. Sunday is the first.
    week = [10, 100, 100, 100, 100, 100, 10]
    assert forecast(NOVEMBER, [*week, *week, 0], 15) == sum((5 * week)[:30])


def test_a_weekday_that_has_not_come_yet_is_the_mean_of_all_days() -> None:
    # Sunday to Tuesday are known: 12, 6, 6; all others are 8.
    days = [12, 6, 6, 0]
    to_come = [(12, 6, 6)[day % 7] if day % 7 < 3 else 8 for day in range(3, 30)]
    assert forecast(NOVEMBER, days, 4) == 24 + sum(to_come)


def test_what_came_today_is_never_less_than_itself() -> None:
    assert forecast(NOVEMBER, [10, 10, 10, 500], 4) == 30 + 500 + 26 * 10


def test_a_month_without_pushes_has_none() -> None:
    assert forecast(NOVEMBER, [0] * 20, 20) is None


@given(
    st.tuples(st.integers(2024, 2030), st.integers(1, 12)).map(lambda each: Month(*each)),
    st.lists(st.integers(0, 10**9), min_size=31, max_size=31),
    st.integers(1, 31),
)
def test_it_is_never_less_than_what_came_and_within_the_best_day_each_day(
    month: Month, counts: list[int], today: int
) -> None:
    today = min(today, months.days(month))
    so_far = counts[:today]
    found = forecast(month, so_far, today)
    if found is not None:
        assert sum(so_far) <= found <= max(so_far) * months.days(month)


def test_it_is_said_with_two_figures() -> None:
    assert [rounded(count) for count in (0, 7, 94, 949, 94_812, 95_000, 1_249_999)] == [
        *(0, 7, 94, 950, 95_000, 95_000, 1_200_000)
    ]
