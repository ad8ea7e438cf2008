"""Standing of a subscription: a pure function of the time, what was agreed on, open invoices and proven licences.

There is no stored state that a missed run could leave behind: whoever asks gets the same, whenever it was asked before.
Between two of its dates (`_breakpoints`) nothing changes, so that `next_change_at` is exact. Moments are aware, in UTC.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from billing.facts import Basis, OpenInvoice, Proof, Standing, State, Subscribed
from billing.subscriptions import words
from billing.subscriptions.words import Cause

UNPAID: Final = "subscription_unpaid"
LICENCE: Final = "licence_expired"
SEVERITY: Final = {state: place for place, state in enumerate(State)}
"""How far a state is along the table: scheduled 0, ended 6."""
OWED: Final = (State.PAST_DUE, State.RESTRICTED, State.SUSPENDED, State.ENDED)
"""The states in which somebody has to act."""
_STOPPED: Final = (State.SUSPENDED, State.ENDED)


class Condition(NamedTuple):
    """A state with its cause, and the date that the cause is about: a due date, the end of a licence, of a trial."""

    state: State
    cause: Cause
    about: datetime | None = None


def standing(
    now: datetime, subscribed: Subscribed, invoices: Sequence[OpenInvoice], proofs: Sequence[Proof]
) -> Standing:
    """The standing at `now`. Invoices and proofs of other subscriptions and customers are looked over."""
    found, dates = condition(now, subscribed, invoices, proofs), _breakpoints(subscribed, invoices, proofs)
    since, next_change_at = None, None
    for at in reversed([date for date in dates if date <= now]):
        if condition(at, subscribed, invoices, proofs).state != found.state:
            break
        since = at
    for at in (date for date in dates if date > now):
        if condition(at, subscribed, invoices, proofs) != found:
            next_change_at = at
            break
    stopped = found.state in _STOPPED
    return Standing(
        state=found.state,
        serves=not stopped,
        may_grow=found.state not in (*_STOPPED, State.RESTRICTED),
        refusal=(LICENCE if found.cause in (Cause.NO_LICENCE, Cause.LICENCE_OVER) else UNPAID) if stopped else "",
        since=since if found.state is not State.SCHEDULED else None,
        next_change_at=next_change_at,
        sentence=words.sentence(found.state, found.cause, found.about, subscribed),
        what_to_do=words.what_to_do(found.state, found.cause, subscribed.basis),
    )


def ahead(
    now: datetime,
    subscribed: Subscribed,
    invoices: Sequence[OpenInvoice],
    proofs: Sequence[Proof],
    *,
    most: int = 8,
) -> Iterator[tuple[datetime, Standing]]:
    """What comes if nothing happens: each change with its moment, the next one first, `most` of them."""
    at: datetime | None = now
    for _ in range(most):
        at = standing(at, subscribed, invoices, proofs).next_change_at if at is not None else None
        if at is None:
            return
        yield at, standing(at, subscribed, invoices, proofs)


def condition(
    at: datetime, subscribed: Subscribed, invoices: Sequence[OpenInvoice], proofs: Sequence[Proof]
) -> Condition:
    """The state at a moment, and why."""
    found = _agreed(at, subscribed, invoices, proofs)
    until = subscribed.override_until
    if until is not None and at < until and found.state in OWED:
        return Condition(State.ACTIVE, Cause.OVERRIDE, until)
    return found


def _agreed(
    at: datetime, subscribed: Subscribed, invoices: Sequence[OpenInvoice], proofs: Sequence[Proof]
) -> Condition:
    """The state as it would be without an override."""
    cancel_at = subscribed.cancel_at
    if cancel_at is not None and at >= cancel_at:
        return Condition(State.ENDED, Cause.CANCELLED, cancel_at)
    if at < subscribed.starts_at:
        return Condition(State.SCHEDULED, Cause.AHEAD, subscribed.starts_at)
    found = _of_basis(at, subscribed, proofs)
    due = min((row.due_at for row in _own(subscribed, invoices)), default=None)
    owed = _overdue(at, due, subscribed, Cause.INVOICE) if due is not None else None
    return owed if owed is not None and SEVERITY[owed.state] > SEVERITY[found.state] else found


def _of_basis(at: datetime, subscribed: Subscribed, proofs: Sequence[Proof]) -> Condition:
    trial_ends_at = subscribed.trial_ends_at
    in_trial = trial_ends_at is not None and at < trial_ends_at
    if subscribed.basis is Basis.LICENCE:
        mine = [row for row in proofs if row.customer_id == subscribed.customer_id]
        end = _covered_until(at, mine)
        if end is not None:
            return Condition(State.ACTIVE, Cause.LICENCE, end)
        if not in_trial:
            over = max((row.expires_at for row in mine if row.expires_at <= at), default=None)
            begun = max(subscribed.starts_at, trial_ends_at or subscribed.starts_at)
            # The days of grace begin with what ended last; a licence that had ended before is none.
            since, cause = (over, Cause.LICENCE_OVER) if over and over >= begun else (begun, Cause.NO_LICENCE)
            return _overdue(at, since, subscribed, cause) or Condition(State.PAST_DUE, cause, since)
    if in_trial:
        return Condition(State.TRIAL, Cause.TRIAL, trial_ends_at)
    if subscribed.basis is Basis.TRIAL and trial_ends_at is not None:
        ended = at >= trial_ends_at + timedelta(days=subscribed.terms.ended_after)
        return Condition(State.ENDED if ended else State.SUSPENDED, Cause.TRIAL_OVER, trial_ends_at)
    return Condition(State.ACTIVE, Cause.FREE if subscribed.basis is Basis.FREE else Cause.PAID)


def _overdue(at: datetime, since: datetime, subscribed: Subscribed, cause: Cause) -> Condition | None:
    """The state by the days since a date; None before it."""
    terms, found = subscribed.terms, None
    for days, state in (
        (0, State.PAST_DUE),
        (terms.restricted_after, State.RESTRICTED),
        (terms.suspended_after, State.SUSPENDED),
        (terms.ended_after, State.ENDED),
    ):
        if at >= since + timedelta(days=days):
            found = Condition(state, cause, since)
    return found


def _covered_until(at: datetime, proofs: Sequence[Proof]) -> datetime | None:
    """The end of the licences that follow each other without a gap from the one that is good at `at`; None: none is."""
    end = max((row.expires_at for row in proofs if row.starts_at <= at < row.expires_at), default=None)
    for row in sorted(proofs, key=lambda row: row.starts_at):
        if end is not None and row.starts_at <= end:
            end = max(end, row.expires_at)
    return end


def _own(subscribed: Subscribed, invoices: Sequence[OpenInvoice]) -> list[OpenInvoice]:
    """This subscription's: one that is not paid stops no other of the customer's."""
    return [row for row in invoices if row.subscription_id == subscribed.id and row.open_minor > 0]


def _breakpoints(subscribed: Subscribed, invoices: Sequence[OpenInvoice], proofs: Sequence[Proof]) -> list[datetime]:
    """Every moment at which the condition can change, sorted."""
    terms = subscribed.terms
    begun = [subscribed.starts_at, *filter(None, (subscribed.trial_ends_at,))]
    since = [*begun, *(row.due_at for row in _own(subscribed, invoices)), *(row.expires_at for row in proofs)]
    days = (0, terms.restricted_after, terms.suspended_after, terms.ended_after)
    return sorted(
        {
            *(date + timedelta(days=each) for date in since for each in days),
            *(row.starts_at for row in proofs),
            *filter(None, (subscribed.cancel_at, subscribed.override_until)),
        }
    )
