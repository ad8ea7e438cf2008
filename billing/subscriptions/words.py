"""Sentences about the standing of a subscription: what happened, what ends when, what to do. Pure.

They are shown to everybody who may see the subscription, so that no amount and no invoice is named in them.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from billing.dates import day, last_day
from billing.facts import Basis, State, Subscribed


class Cause(StrEnum):
    """Why a subscription is in its state."""

    AHEAD = "ahead"
    TRIAL = "trial"
    PAID = "paid"
    FREE = "free"
    LICENCE = "licence"
    OVERRIDE = "override"
    INVOICE = "invoice"
    NO_LICENCE = "no licence"
    LICENCE_OVER = "licence over"
    TRIAL_OVER = "trial over"
    CANCELLED = "cancelled"


NAMES: Final = {
    State.SCHEDULED: "Not begun yet",
    State.TRIAL: "Trial",
    State.ACTIVE: "Active",
    State.PAST_DUE: "Past due",
    State.RESTRICTED: "Restricted",
    State.SUSPENDED: "Suspended",
    State.ENDED: "Ended",
}
KINDS: Final = {
    State.SCHEDULED: "info",
    State.TRIAL: "info",
    State.ACTIVE: "good",
    State.PAST_DUE: "warn",
    State.RESTRICTED: "warn",
    State.SUSPENDED: "bad",
    State.ENDED: "bad",
}
"""How a page marks each state (templates/parts/mark.html)."""


def sentence(state: State, cause: Cause, about: datetime | None, subscribed: Subscribed) -> str:
    """What is the case, and what ends when."""
    cancelled = subscribed.cancel_at
    date = about or subscribed.starts_at
    ends = ""
    if cancelled is not None and state not in (State.ENDED, State.SUSPENDED) and cancelled > subscribed.starts_at:
        ends = f" It was cancelled and ends with {last_day(cancelled)}."
    if cause is Cause.AHEAD:
        return f"The subscription begins on {day(date)}.{ends}"
    if cause is Cause.TRIAL:
        return f"The trial runs until {last_day(date)}.{_after_trial(subscribed.basis)}{ends}"
    if cause is Cause.PAID:
        return f"Pushes are served, and nothing is overdue.{ends}"
    if cause is Cause.FREE:
        return f"Pushes are served, for nothing and without a promise.{ends}"
    if cause is Cause.LICENCE:
        return (
            f"The subscription is active: it is included in the Mattermost licence, good until {last_day(date)}.{ends}"
        )
    if cause is Cause.OVERRIDE:
        return f"Pushes are served until {last_day(date)} by an agreement with the operator.{ends}"
    if cause is Cause.CANCELLED:
        return f"The subscription was cancelled and ended with {last_day(date)}. Pushes are refused."
    return f"{_what_happened(cause, date)} {_what_follows(state, date, subscribed)}{ends}"


def what_to_do(state: State, cause: Cause, basis: Basis) -> str:
    """One sentence; "" where nothing is to be done."""
    if cause is Cause.INVOICE:
        return "Pay the invoice; if it was paid, tell whoever operates this push service."
    if cause in (Cause.LICENCE_OVER, Cause.NO_LICENCE):
        return "Upload the current Mattermost licence; pushes are then served within seconds."
    if cause in (Cause.TRIAL_OVER, Cause.CANCELLED):
        return "Choose a plan to be served again."
    if cause is Cause.TRIAL and basis is Basis.TRIAL:
        return "Choose a plan before the trial ends."
    if cause is Cause.TRIAL and basis is Basis.LICENCE:
        return "Upload the Mattermost licence before the trial ends."
    if cause is Cause.OVERRIDE:
        return "Settle what is open until then."
    return ""


def means(state: State) -> str:
    """What a state means for pushes and pages, in a few words."""
    if state in (State.SUSPENDED, State.ENDED):
        return "pushes are refused; wipes and receipts of phones pass"
    if state is State.RESTRICTED:
        return "pushes are served; no new servers, keys and apps"
    return "the running subscription serves" if state is State.SCHEDULED else "pushes are served"


def _after_trial(basis: Basis) -> str:
    if basis is Basis.PAID:
        return " The paid subscription begins after it."
    if basis is Basis.LICENCE:
        return " Until then the licence has to be proven."
    return " After it pushes are refused, unless a plan was chosen."


def _what_happened(cause: Cause, date: datetime) -> str:
    if cause is Cause.INVOICE:
        return f"An invoice that was due on {last_day(date)} is not paid."
    if cause is Cause.LICENCE_OVER:
        return f"The Mattermost licence ended on {last_day(date)}, and no later one was uploaded."
    if cause is Cause.NO_LICENCE:
        return f"No good Mattermost licence has been uploaded since {day(date)}."
    return f"The trial ended with {last_day(date)}."


def _what_follows(state: State, date: datetime, subscribed: Subscribed) -> str:
    terms = subscribed.terms

    def after(days: int) -> str:
        return day(date + timedelta(days=days))

    end = f"on {after(terms.ended_after)} the subscription ends"
    refused = f"from {after(terms.suspended_after)} on pushes are refused"
    if state is State.PAST_DUE:
        grows = f"from {after(terms.restricted_after)} on no servers, keys and apps can be added"
        return f"Pushes are served; {grows}, {refused}, and {end}."
    if state is State.RESTRICTED:
        return f"Pushes are served, but no servers, keys and apps can be added; {refused}, and {end}."
    if state is State.SUSPENDED:
        return f"Pushes are refused, but for wipes of lost phones; {end}."
    return "The subscription has ended, and pushes are refused; what is here can be read and exported."
