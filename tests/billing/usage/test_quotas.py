"""What follows from a quota: which mail is due, how long the grace is, when limits begin, and that all of it ends."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.facts import Month, Terms, Usage
from billing.usage import months
from billing.usage.quotas import Due, Level, Measure, Notice, QuotaState, Step, percent, quota
from tests.billing.usage.used import at, terms

NOVEMBER = Month(2026, 11)
DAY, WEEK = timedelta(days=1), timedelta(days=7)
PLAN = terms()


def used(pushes: int = 0, devices: int = 0, servers: int = 1, month: Month = NOVEMBER) -> Usage:
    return Usage(month, pushes, devices, servers, None)


def notice(step: Step, moment: datetime, measure: Measure = Measure.PUSHES, month: Month = NOVEMBER) -> Notice:
    return Notice(month, measure, step, moment)


def test_below_80_percent_nothing_follows() -> None:
    state = quota(at(11, 10), used(799), PLAN, ())
    assert (state.level, state.due, state.percent) == (Level.WITHIN, (), 79)


@pytest.mark.parametrize(("pushes", "step"), [(800, Step.NEAR), (999, Step.NEAR), (1000, Step.FULL), (1199, Step.FULL)])
def test_at_80_and_100_percent_a_mail_is_due_once(pushes: int, step: Step) -> None:
    now = at(11, 10)
    assert quota(now, used(pushes), PLAN, ()).due == (Due(Measure.PUSHES, step),)
    assert quota(now, used(pushes), PLAN, [notice(step, now)]).due == ()


def test_a_mail_of_another_month_or_measure_is_no_mail_of_this_one() -> None:
    other = [
        notice(Step.NEAR, at(10, 20), month=Month(2026, 10)),
        notice(Step.NEAR, at(11, 2), Measure.DEVICES),
    ]
    assert quota(at(11, 10), used(900), PLAN, other).due == (Due(Measure.PUSHES, Step.NEAR),)


def test_after_a_pause_only_the_latest_mail_is_due() -> None:
    now = at(11, 10)
    assert quota(now, used(1100), PLAN, ()).due == (Due(Measure.PUSHES, Step.FULL),)
    # A correction that takes some away brings no earlier mail behind the later one.
    assert quota(now, used(900), PLAN, [notice(Step.FULL, now)]).due == ()


def test_the_grace_lasts_seven_days_from_the_mail() -> None:
    told = at(11, 5)
    history = [notice(Step.FULL, told)]
    state = quota(told + WEEK - DAY, used(1100), PLAN, history)
    assert (state.level, state.due) == (Level.FULL, ())
    assert state.worst is not None
    assert state.worst.grace_until == told + WEEK
    assert quota(told + WEEK, used(1100), PLAN, history).due == (Due(Measure.PUSHES, Step.LIMITS),)


def test_the_grace_ends_at_120_percent_before_its_time() -> None:
    history = [notice(Step.FULL, at(11, 5))]
    assert quota(at(11, 6), used(1199), PLAN, history).due == ()
    assert quota(at(11, 6), used(1200), PLAN, history).due == (Due(Measure.PUSHES, Step.LIMITS),)


def test_limits_begin_seven_days_after_the_mail_that_announces_them_and_end_with_the_month() -> None:
    told = at(11, 12)
    history = [notice(Step.FULL, at(11, 5)), notice(Step.LIMITS, told)]
    assert quota(told + WEEK - timedelta(seconds=1), used(1500), PLAN, history).level is Level.ANNOUNCED
    state = quota(told + WEEK, used(1500), PLAN, history)
    assert state.limited
    assert state.worst is not None
    assert state.worst.limits_at == told + WEEK
    assert quota(months.ends(NOVEMBER) - timedelta(seconds=1), used(1500), PLAN, history).limited
    assert quota(months.ends(NOVEMBER), used(1500), PLAN, history).level is Level.WITHIN
    assert quota(months.ends(NOVEMBER), used(0, month=Month(2026, 12)), PLAN, history).level is Level.WITHIN


def test_limits_that_would_begin_after_the_month_are_not_announced() -> None:
    history = [notice(Step.FULL, at(11, 15))]
    assert quota(at(11, 23), used(5000), PLAN, history).due == (Due(Measure.PUSHES, Step.LIMITS),)
    late = quota(at(11, 24), used(5000), PLAN, history)
    assert (late.level, late.due) == (Level.FULL, ())


def test_who_pays_for_more_devices_is_told_and_never_limited() -> None:
    plan = terms(included_devices=100, device_price_minor=50)
    history = [notice(Step.FULL, at(11, 1), Measure.DEVICES)]
    assert quota(at(11, 2), used(devices=500), plan, ()).due == (Due(Measure.DEVICES, Step.FULL),)
    assert quota(at(11, 20), used(devices=500), plan, history).level is Level.FULL
    assert quota(at(11, 20), used(devices=500), plan, history).due == ()
    free = plan._replace(device_price_minor=0)
    assert quota(at(11, 20), used(devices=500), free, history).due == (Due(Measure.DEVICES, Step.LIMITS),)


def test_all_servers_in_use_is_how_it_should_be_and_one_more_is_told() -> None:
    plan = terms(included_servers=2)
    state = quota(at(11, 20), used(servers=2), plan, ())
    assert (state.level, state.due, state.percent) == (Level.WITHIN, (), 0)
    over = quota(at(11, 20), used(servers=3), plan, ())
    assert over.due == (Due(Measure.SERVERS, Step.FULL),)
    told = [notice(Step.FULL, at(11, 1), Measure.SERVERS)]
    assert quota(at(11, 20), used(servers=9), plan, told).due == ()


def test_without_a_bound_there_is_no_quota() -> None:
    state = quota(at(11, 20), used(10**9, 10**9, 99), terms(included_pushes=None), ())
    assert (state, state.percent, state.worst, state.limited) == (QuotaState(()), None, None, False)


def test_of_nothing_included_any_use_is_beyond() -> None:
    assert percent(0, 0) == 0
    assert percent(1, 0) > 120
    assert percent(10**18, 1) == 1_000_000
    assert quota(at(11, 20), used(0), terms(included_pushes=0), ()).level is Level.WITHIN
    assert quota(at(11, 20), used(1), terms(included_pushes=0), ()).due == (Due(Measure.PUSHES, Step.FULL),)


def test_a_larger_plan_ends_what_was_announced_at_once() -> None:
    history = [notice(Step.FULL, at(11, 2)), notice(Step.LIMITS, at(11, 9))]
    assert quota(at(11, 20), used(1500), PLAN, history).limited
    assert quota(at(11, 20), used(1500), terms(included_pushes=10_000), history).level is Level.WITHIN


def test_a_clock_that_goes_back_limits_nobody_and_tells_nobody_twice() -> None:
    history = [notice(Step.FULL, at(11, 20)), notice(Step.LIMITS, at(11, 21))]
    state = quota(at(11, 3), used(1500), PLAN, history)
    assert (state.level, state.due, state.limited) == (Level.ANNOUNCED, (), False)


MOMENTS = st.datetimes(datetime(2026, 10, 1), datetime(2027, 1, 31)).map(  # noqa: DTZ001  made aware here
    lambda moment: moment.replace(tzinfo=at(11, 1).tzinfo)
)
PLANS = st.builds(
    lambda pushes, devices, servers, price: terms(
        included_pushes=pushes, included_devices=devices, included_servers=servers, device_price_minor=price
    ),
    *(st.none() | st.integers(0, 2_000) for _ in range(3)),
    st.sampled_from([0, 50]),
)
HISTORY = st.lists(
    st.builds(
        Notice,
        st.sampled_from([Month(2026, 10), NOVEMBER, Month(2026, 12)]),
        st.sampled_from(Measure),
        st.sampled_from(Step),
        MOMENTS,
    ),
    max_size=8,
    unique_by=lambda each: each[:3],
)
USED = st.builds(used, *(st.integers(0, 4_000) for _ in range(3)), st.sampled_from([Month(2026, 10), NOVEMBER]))


@given(MOMENTS, USED, PLANS, HISTORY)
def test_the_order_of_mails_and_those_of_other_months_make_no_difference(
    now: datetime, usage: Usage, plan: Terms, history: list[Notice]
) -> None:
    state = quota(now, usage, plan, history)
    mine = [each for each in history if each.month == usage.month]
    assert quota(now, usage, plan, list(reversed(mine))) == state


@given(MOMENTS, USED, PLANS, HISTORY)
def test_nobody_is_limited_but_a_week_after_a_mail_and_in_the_month_that_runs(
    now: datetime, usage: Usage, plan: Terms, history: list[Notice]
) -> None:
    state = quota(now, usage, plan, history)
    for each in state.measures:
        if each.level is Level.LIMITED:
            assert any(
                sent.step is Step.LIMITS and sent.measure is each.share.measure and sent.at + WEEK <= now
                for sent in history
                if sent.month == usage.month
            )
            assert months.month_of(now) == usage.month
            assert each.share.percent >= 100
            assert each.share.measure is not Measure.SERVERS


@given(MOMENTS, USED, PLANS, HISTORY)
def test_no_mail_is_due_that_went_out_or_that_a_later_one_has_overtaken(
    now: datetime, usage: Usage, plan: Terms, history: list[Notice]
) -> None:
    for due in quota(now, usage, plan, history).due:
        sent = [each.step for each in history if (each.month, each.measure) == (usage.month, due.measure)]
        assert due.step not in sent
        if due.step is Step.NEAR:
            assert Step.FULL not in sent
        if due.step is Step.LIMITS:
            assert Step.FULL in sent
        assert months.month_of(now) == usage.month


@given(
    PLANS,
    st.lists(st.integers(0, 300), min_size=30, max_size=30),
    st.lists(st.booleans(), min_size=30 * 4, max_size=30 * 4),
)
def test_whenever_the_timetable_runs_each_mail_goes_out_at_most_once_and_in_order(
    plan: Terms, by_day: list[int], runs: list[bool]
) -> None:
    history: list[Notice] = []
    for quarter, up in enumerate(runs):
        now = at(11, 1, 0) + quarter * DAY / 4
        usage = used(sum(by_day[: quarter // 4 + 1]), sum(by_day[: quarter // 4 + 1]) // 2, 3)
        if up:
            history += [Notice(NOVEMBER, *due, now) for due in quota(now, usage, plan, history).due]
    assert len({each[:3] for each in history}) == len(history)
    for measure in Measure:
        steps = [each.step for each in history if each.measure is measure]
        assert steps == sorted(steps, key=list(Step).index)


@given(USED, PLANS, HISTORY)
def test_all_of_it_ends_with_the_month(usage: Usage, plan: Terms, history: list[Notice]) -> None:
    for now in (months.ends(usage.month), months.ends(usage.month) + 40 * DAY):
        state = quota(now, usage, plan, history)
        assert (state.level, state.due) == (Level.WITHIN, ())


@given(USED, HISTORY, st.integers(0, 40), st.integers(0, 40))
def test_forty_days_without_a_timetable_leave_what_daily_looks_leave(
    usage: Usage, history: list[Notice], first: int, second: int
) -> None:
    """It is a function of the present alone: looks in between make no difference but by the mails they send."""
    now = at(11, 1) + first * DAY
    before = quota(now, usage, PLAN, history)
    quota(now + second * DAY, usage, PLAN, history)
    assert quota(now, usage, PLAN, history) == before
