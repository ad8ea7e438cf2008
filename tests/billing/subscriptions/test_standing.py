"""The standing of a subscription: each state with its dates, and what must be true of all of them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.facts import Basis, OpenInvoice, Proof, Standing, State, Subscribed
from billing.subscriptions.standing import SEVERITY, ahead, standing
from tests.billing.subscriptions.agreed import DAY, START, TERMS, invoice, proof, subscribed

TICK = timedelta(microseconds=1)
DUE = datetime(2026, 3, 1, tzinfo=UTC)  # the end of 28 February


def states(row: Subscribed, invoices: list[OpenInvoice], proofs: list[Proof]) -> list[tuple[str, str]]:
    """Each change from before the beginning on: its moment and the state."""
    found = ahead(START - 400 * DAY, row, invoices, proofs, most=50)
    return [(at.isoformat()[:16], now.state.value) for at, now in found]


def test_an_invoice_that_is_not_paid_goes_through_the_table_by_its_dates() -> None:
    assert states(subscribed(), [invoice(DUE)], []) == [
        ("2026-01-15T00:00", "active"),
        ("2026-03-01T00:00", "past_due"),
        ("2026-03-31T00:00", "restricted"),
        ("2026-04-15T00:00", "suspended"),
        ("2026-05-30T00:00", "ended"),
    ]


def test_a_licence_that_ends_goes_through_the_table_from_its_end_on() -> None:
    good = proof(START - DAY, datetime(2026, 6, 1, 12, 30, tzinfo=UTC))
    assert states(subscribed(Basis.LICENCE), [], [good]) == [
        ("2026-01-15T00:00", "active"),
        ("2026-06-01T12:30", "past_due"),
        ("2026-07-01T12:30", "restricted"),
        ("2026-07-16T12:30", "suspended"),
        ("2026-08-30T12:30", "ended"),
    ]


def test_a_trial_is_refused_from_its_end_on_and_ends_later() -> None:
    assert states(subscribed(Basis.TRIAL), [], []) == [
        ("2026-01-15T00:00", "trial"),
        ("2026-02-14T00:00", "suspended"),
        ("2026-05-15T00:00", "ended"),
    ]


def test_a_paid_subscription_with_a_trial_is_active_after_it() -> None:
    row = subscribed(trial_ends_at=START + 30 * DAY)
    assert states(row, [], []) == [("2026-01-15T00:00", "trial"), ("2026-02-14T00:00", "active")]


def test_without_a_licence_the_days_of_grace_begin_with_the_subscription_or_after_its_trial() -> None:
    assert states(subscribed(Basis.LICENCE), [], [])[0] == ("2026-01-15T00:00", "past_due")
    late = subscribed(Basis.LICENCE, trial_ends_at=START + 10 * DAY)
    assert states(late, [], [])[:2] == [("2026-01-15T00:00", "trial"), ("2026-01-25T00:00", "past_due")]
    old = proof(START - 400 * DAY, START - 200 * DAY)
    assert states(subscribed(Basis.LICENCE), [], [old]) == states(subscribed(Basis.LICENCE), [], [])


def test_licences_that_overlap_or_meet_count_as_one_and_a_gap_is_noticed() -> None:
    end = datetime(2026, 6, 1, tzinfo=UTC)
    first = proof(START - DAY, end)
    for begins in (end - 30 * DAY, end):
        found = standing(end, subscribed(Basis.LICENCE), [], [first, proof(begins, end + 365 * DAY)])
        assert (found.state, found.next_change_at) == (State.ACTIVE, end + 365 * DAY)
    with_gap = [first, proof(end + 5 * DAY, end + 365 * DAY)]
    assert states(subscribed(Basis.LICENCE), [], with_gap)[1:4] == [
        ("2026-06-01T00:00", "past_due"),
        ("2026-06-06T00:00", "active"),
        ("2027-06-01T00:00", "past_due"),
    ]


def test_a_cancelled_one_ends_on_its_date_and_not_before() -> None:
    row = subscribed(cancel_at=START + 90 * DAY)
    before, at = (standing(now, row, [], []) for now in (START + 90 * DAY - TICK, START + 90 * DAY))
    assert (before.state, before.serves, before.next_change_at) == (State.ACTIVE, True, START + 90 * DAY)
    assert "It was cancelled and ends with 14 April 2026." in before.sentence
    assert (at.state, at.serves, at.refusal, at.next_change_at) == (State.ENDED, False, "subscription_unpaid", None)


def test_staff_have_it_served_until_a_date_whatever_else_is_the_case() -> None:
    row = subscribed(override_until=DUE + 100 * DAY)
    found = standing(DUE + 99 * DAY, row, [invoice(DUE)], [])
    assert (found.state, found.serves, found.may_grow, found.refusal) == (State.ACTIVE, True, True, "")
    assert found.next_change_at == DUE + 100 * DAY
    assert "by an agreement with the operator" in found.sentence
    after = standing(DUE + 100 * DAY, row, [invoice(DUE)], [])
    assert (after.state, after.since) == (State.ENDED, DUE + 100 * DAY)


def test_what_another_subscription_or_customer_has_is_looked_over() -> None:
    unpaid = [invoice(DUE, 8), invoice(DUE, None), invoice(DUE, 7, 0)]
    assert standing(DUE + 200 * DAY, subscribed(), unpaid, []).state is State.ACTIVE
    theirs = proof(START, START + 365 * DAY, customer_id=2)
    assert standing(START, subscribed(Basis.LICENCE), [], [theirs]).state is State.PAST_DUE


@pytest.mark.parametrize(
    ("basis", "refusal"), [(Basis.LICENCE, "licence_expired"), (Basis.TRIAL, "subscription_unpaid")]
)
def test_who_is_suspended_is_told_why_what_follows_and_what_to_do(basis: Basis, refusal: str) -> None:
    good = proof(START - DAY, START + 30 * DAY)
    found = standing(START + 76 * DAY, subscribed(basis), [], [good])
    assert (found.state, found.serves, found.may_grow, found.refusal) == (State.SUSPENDED, False, False, refusal)
    assert "14 February 2026" in found.sentence or "13 February 2026" in found.sentence
    assert "ends" in found.sentence
    assert found.what_to_do


def test_the_restricted_may_not_grow_but_are_served() -> None:
    found = standing(DUE + 30 * DAY, subscribed(), [invoice(DUE)], [])
    assert (found.state, found.serves, found.may_grow, found.refusal) == (State.RESTRICTED, True, False, "")
    assert "An invoice that was due on 28 February 2026 is not paid." in found.sentence
    assert "from 15 April 2026 on pushes are refused" in found.sentence


def test_days_are_days_over_a_leap_day_and_at_the_end_of_a_month() -> None:
    due = datetime(2028, 2, 1, tzinfo=UTC)  # 2028 has a 29 February
    row = subscribed(starts_at=datetime(2027, 12, 31, tzinfo=UTC))
    assert [at for at, _ in states(row, [invoice(due)], [])][2:] == [
        "2028-03-02T00:00", "2028-03-17T00:00", "2028-05-01T00:00",
    ]  # fmt: skip


# --- what must be true of all


def moments(days: int) -> st.SearchStrategy[datetime]:
    """Moments around START, on whole days and between them."""
    return st.one_of(
        st.integers(-days, days).map(lambda each: START + each * DAY),
        st.integers(-days * 86_400, days * 86_400).map(lambda each: START + timedelta(seconds=each)),
    )


MOMENTS = moments(500)
PROOFS = st.lists(st.builds(lambda at, days: proof(at, at + days * DAY), MOMENTS, st.integers(1, 400)), max_size=4)
INVOICES = st.lists(
    st.builds(invoice, MOMENTS, st.sampled_from([7, 7, 8, None]), st.sampled_from([0, 1, 500])), max_size=4
)
DUNNING = st.tuples(*[st.integers(0, 100)] * 3).map(sorted)


@st.composite
def subscriptions(draw: st.DrawFn) -> Subscribed:
    """Any subscription."""
    basis, (restricted, suspended, ended) = draw(st.sampled_from(list(Basis))), draw(DUNNING)
    return subscribed(
        basis,
        terms=TERMS._replace(restricted_after=restricted, suspended_after=suspended, ended_after=ended),
        starts_at=draw(moments(100)),
        trial_ends_at=draw(MOMENTS if basis is Basis.TRIAL else st.none() | MOMENTS),
        cancel_at=draw(st.none() | MOMENTS),
        override_until=draw(st.none() | MOMENTS),
    )


def served(found: Standing) -> tuple[object, ...]:
    return found.state, found.serves, found.may_grow, found.refusal


@given(subscriptions(), INVOICES, PROOFS, MOMENTS, st.floats(0, 1))
def test_nothing_changes_until_the_next_change_and_something_does_then(
    row: Subscribed, invoices: list[OpenInvoice], proofs: list[Proof], now: datetime, part: float
) -> None:
    found = standing(now, row, invoices, proofs)
    last = found.next_change_at - TICK if found.next_change_at else now + 2_000 * DAY
    for at in (now + (last - now) * part, last):
        assert standing(at, row, invoices, proofs)._replace(since=None) == found._replace(since=None)
        assert standing(at, row, invoices, proofs).since == found.since
    if found.next_change_at is not None:
        assert found.next_change_at > now
        then = standing(found.next_change_at, row, invoices, proofs)
        assert (served(then), then.sentence) != (served(found), found.sentence)


@given(subscriptions(), INVOICES, PROOFS, MOMENTS)
def test_since_when_is_when_the_state_began(
    row: Subscribed, invoices: list[OpenInvoice], proofs: list[Proof], now: datetime
) -> None:
    found = standing(now, row, invoices, proofs)
    if found.state is State.SCHEDULED:
        assert found.since is None
    else:
        assert found.since is not None
        assert found.since <= now
        assert standing(found.since, row, invoices, proofs).state is found.state
        assert standing(found.since - TICK, row, invoices, proofs).state is not found.state


@given(subscriptions(), INVOICES, MOMENTS, st.integers(0, 600))
def test_it_only_goes_down_the_table_where_nothing_happens(
    row: Subscribed, invoices: list[OpenInvoice], now: datetime, days: int
) -> None:
    """A trial that turns into a paid one goes on, and a licence of later would be news; without an override."""
    row = row._replace(override_until=None)
    before, after = (standing(at, row, invoices, []) for at in (now, now + days * DAY))
    assert SEVERITY[before.state] <= SEVERITY[after.state]
    assert (before.serves, before.may_grow) >= (after.serves, after.may_grow)


@given(subscriptions(), INVOICES, PROOFS, MOMENTS)
def test_forty_days_without_the_timetable_end_as_forty_daily_runs(
    row: Subscribed, invoices: list[OpenInvoice], proofs: list[Proof], begin: datetime
) -> None:
    """The timetable looks only when the next change has come; so what it remembers is what one look at the end says."""
    kept = standing(begin, row, invoices, proofs)
    for day in range(1, 41):
        now = begin + day * DAY
        if kept.next_change_at is not None and kept.next_change_at <= now:
            kept = standing(now, row, invoices, proofs)
    assert kept == standing(begin + 40 * DAY, row, invoices, proofs)


@given(subscriptions(), INVOICES, PROOFS, MOMENTS)
def test_every_standing_is_said_in_words_that_fit_and_who_is_refused_is_told_what_to_do(
    row: Subscribed, invoices: list[OpenInvoice], proofs: list[Proof], now: datetime
) -> None:
    found = standing(now, row, invoices, proofs)
    assert 10 < len(found.sentence) <= 500
    assert found.serves == (not found.refusal) == (found.state not in (State.SUSPENDED, State.ENDED))
    assert found.may_grow <= found.serves
    if SEVERITY[found.state] >= SEVERITY[State.PAST_DUE]:
        assert found.what_to_do
