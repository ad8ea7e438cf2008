"""Service level sla-1: minutes, uptime, credit; by examples and by properties of random months."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.facts import Month
from billing.sla import judging
from billing.sla.judging import Observed, Row, Window
from tests.billing.sla.months import at, row

FIRST = at("2026-11-01T00:00")
NOVEMBER = Month(2026, 11)
COUNTS = st.integers(0, 60).flatmap(lambda valid: st.tuples(st.just(valid), st.integers(0, valid)))
CANARIES = st.sampled_from(judging.CANARIES)
FACTS = st.tuples(COUNTS, CANARIES, st.booleans(), st.booleans())


@pytest.mark.parametrize(
    ("valid", "failed", "canary", "service_good", "told"),
    [
        (20, 1, "good", True, ("ok", "")),  # 5 % is not more than 5 %
        (20, 2, "good", True, ("bad", "failures")),
        (19, 9, "good", True, ("ok", "")),
        (19, 10, "good", True, ("bad", "failures")),
        (1, 1, "good", True, ("ok", "")),  # one failure alone makes no minute bad
        (2, 2, "good", True, ("bad", "failures")),
        (4, 2, "good", True, ("bad", "failures")),
        (5, 2, "good", True, ("ok", "")),
        (0, 0, "bad", True, ("bad", "canary")),
        (0, 0, "missing", False, ("bad", "no_push")),
        (0, 0, "missing", True, ("ok", "")),
        (0, 0, "good", False, ("ok", "")),
        (0, 0, "off", False, ("ok", "")),
    ],
)
def test_a_minute_is_judged_by_its_figures_and_the_canary(
    valid: int, failed: int, canary: str, service_good: bool, told: tuple[str, str]
) -> None:
    assert judging.verdict(valid, failed, canary, excluded=False, service_good=service_good) == told
    assert judging.verdict(valid, failed, canary, excluded=True, service_good=service_good)[0] == "excluded"


@pytest.mark.parametrize(("valid", "failed", "canary"), [(1, 2, "good"), (1, -1, "good"), (1, 0, "well")])
def test_impossible_figures_are_refused(valid: int, failed: int, canary: str) -> None:
    with pytest.raises(ValueError, match="no minute has"):
        judging.verdict(valid, failed, canary, excluded=False, service_good=True)


@given(FACTS)
def test_the_verdict_is_that_of_the_written_rule(facts: tuple[tuple[int, int], str, bool, bool]) -> None:
    (valid, failed), canary, excluded, good = facts
    share = Fraction(failed, valid) if valid else Fraction(0)
    bad = (
        (valid >= 20 and share > Fraction(5, 100))
        or (valid < 20 and failed >= 2 and share >= Fraction(1, 2))
        or canary == "bad"
        or (canary == "missing" and not good)
    )
    word, reason = judging.verdict(valid, failed, canary, excluded=excluded, service_good=good)
    assert word == ("excluded" if excluded else "bad" if bad else "ok")
    assert bool(reason) == (word != "ok")


def observed(facts: list[tuple[tuple[int, int], str, bool, bool]], times: int) -> list[Observed]:
    return [
        Observed(FIRST + timedelta(minutes=n), valid * times, failed * times, 0, 0, canary, excluded, good)
        for n, ((valid, failed), canary, excluded, good) in enumerate(facts)
    ]


@given(st.lists(FACTS, max_size=80), st.sampled_from((1, 100)), st.integers(0, 3000))
def test_uptime_is_the_worse_of_both_ways_and_never_rounded_up(
    facts: list[tuple[tuple[int, int], str, bool, bool]], times: int, idle: int
) -> None:
    given_rows = observed(facts, times)
    minutes = len(given_rows) + idle
    verdicts, month = judging.sla_1(given_rows, NOVEMBER, minutes)
    bad = sum(word == "bad" for word in verdicts.values())
    counted = minutes - sum(word == "excluded" for word in verdicts.values())
    exact_time = 100 * (1 - Fraction(bad, counted)) if counted else Fraction(100)
    assert 0 <= exact_time - Fraction(month.by_time) < Fraction(1, 1000)
    valid, failed = sum(each.valid for each in given_rows), sum(each.failed for each in given_rows)
    if valid < 1_000:
        assert month.by_requests is None
        assert month.uptime == month.by_time
    else:
        exact = 100 * (1 - Fraction(failed, valid))
        assert month.by_requests is not None
        assert 0 <= exact - Fraction(month.by_requests) < Fraction(1, 1000)
        assert month.uptime == min(month.by_time, month.by_requests)
    assert month.uptime.as_tuple().exponent == -3
    assert month.credit_percent == (
        50 if month.uptime < 95 else 25 if month.uptime < 99 else 10 if month.uptime < Decimal("99.9") else 0
    )


@given(st.lists(FACTS, min_size=1, max_size=40), st.data())
def test_one_more_failure_never_raises_uptime(
    facts: list[tuple[tuple[int, int], str, bool, bool]], data: st.DataObject
) -> None:
    before = observed(facts, 100)
    place = data.draw(st.integers(0, len(before) - 1))
    worse = list(before)
    worse[place] = worse[place]._replace(failed=min(worse[place].valid, worse[place].failed + 1))
    assert judging.sla_1(worse, NOVEMBER, 43_200).month.uptime <= judging.sla_1(before, NOVEMBER, 43_200).month.uptime


@given(COUNTS, COUNTS, CANARIES, CANARIES)
def test_a_correction_in_favour_never_raises_uptime(
    old: tuple[int, int], new: tuple[int, int], canary: str, changed: str
) -> None:
    before, after = row(FIRST, *old, canary), row(FIRST, *new, changed)
    rest = [row(FIRST + timedelta(minutes=n), 30, 0) for n in range(1, 50)]
    if judging.in_favour(before, after):
        was, now = (judging.summed([one, *rest], NOVEMBER, 60).uptime for one in (before, after))
        assert now <= was


@given(st.integers(0, 10**9), st.sampled_from((0, 10, 25, 50)))
def test_a_credit_is_rounded_in_the_customers_favour(price: int, percent: int) -> None:
    credit = judging.credit_minor(price, percent)
    assert 0 <= credit - Fraction(price * percent, 100) < 1


@pytest.mark.parametrize(
    ("uptime", "percent"), [("99.900", 0), ("99.899", 10), ("99.000", 10), ("98.999", 25), ("94.999", 50), ("0", 50)]
)
def test_credits_begin_just_below_what_is_promised(uptime: str, percent: int) -> None:
    assert judging.credit_percent(Decimal(uptime)) == percent


def test_few_pushes_of_a_customer_count_by_time_alone() -> None:
    rows = [row(FIRST + timedelta(minutes=n), 1, 1) for n in range(999)]
    assert judging.summed(rows, NOVEMBER, 43_200).uptime == 100
    rows.append(row(FIRST + timedelta(minutes=999), 1, 1))
    assert judging.summed(rows, NOVEMBER, 43_200).uptime == 0


def test_a_month_without_a_push_is_whole_and_tells_no_latency() -> None:
    month = judging.summed([], Month(2028, 2), 29 * 1440)
    assert (month.uptime, month.within_1s, month.by_requests) == (100, None, None)
    assert len(judging.days_of(Month(2028, 2))) == 29


def test_maintenance_counts_if_announced_72_hours_ahead_and_for_240_minutes_a_month() -> None:
    begin = at("2026-11-10T02:00:30")
    early = Window(begin, begin + timedelta(minutes=5), begin - timedelta(hours=72))
    late = early._replace(announced_at=early.announced_at + timedelta(seconds=1))
    days = date(2026, 11, 1), date(2026, 11, 30)
    # The minutes at both ends are covered in part only.
    assert judging.exclusions([early], *days) == {at(f"2026-11-10T02:0{n}") for n in (1, 2, 3, 4)}
    assert not judging.exclusions([late], *days)
    long = Window(at("2026-10-31T20:00"), at("2026-11-02T00:00"), at("2026-10-01T00:00"))
    assert judging.exclusions([long], *days) == {FIRST + timedelta(minutes=n) for n in range(240)}


def test_budget_says_how_much_the_promise_still_bears() -> None:
    bad = [row(FIRST + timedelta(minutes=n), 0, 0, "bad") for n in range(44)]
    assert judging.budget(judging.summed(bad[:43], NOVEMBER, 43_200)) == (0, None)
    assert judging.summed(bad[:43], NOVEMBER, 43_200).credit_percent == 0
    assert judging.budget(judging.summed(bad, NOVEMBER, 43_200)) == (-1, None)
    assert judging.summed(bad, NOVEMBER, 43_200).credit_percent == 10


def test_corrections_take_the_place_of_their_minute_the_last_one_first() -> None:
    rows = [row(FIRST, 1, 0)]
    fixes: list[Row] = [row(FIRST, 2, 2), row(FIRST, 3, 3), row(FIRST + timedelta(minutes=1), 4, 4)]
    assert [each.valid for each in judging.corrected(rows, fixes)] == [3, 4]
