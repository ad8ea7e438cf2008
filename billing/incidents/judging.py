"""The minutes of each component, out of what the canary and all customers' pushes say of them. Pure.

A minute is bad for a component where the canary says so; or at least 20 valid pushes came and more than 5 % of them
failed by the service or the provider; or the canary is missing and no push of the whole service was good. It is unknown
only before the first canary: what nobody looked at is no uptime.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from billing.incidents.components import ACCEPTING, COMPONENTS, Component
from billing.models import PAGES
from delivery.selectors.status import ServiceMinutes

MINUTE: Final = timedelta(minutes=1)
# As sla-1: so many pushes make a share of failures that says something, and this share is too many.
VALID_LEAST: Final = 20
FAILED_MOST: Final = 0.05
# Codes of the service's own with which a push is not taken on.
UNACCEPTED: Final = frozenset(
    (
        *("queue_down", "queue_unsaved", "queue_full", "overloaded", "shutting_down", "not_ready"),
        *("internal_error", "unknown_key"),
    )
)
State = Literal["good", "bad", "unknown"]


class Beat(NamedTuple):
    """A row of the canary. why: of a bad one; whose: "ours", or somebody else's."""

    at: datetime
    family: str
    good: bool
    whose: str
    why: str = ""


class Tally(NamedTuple):
    """Minutes by what they were."""

    good: int
    bad: int
    unknown: int


def judge(
    minutes: Iterable[datetime],
    beats: Iterable[Beat],
    service: Mapping[tuple[datetime, str], ServiceMinutes],
    first: datetime | None,
) -> dict[str, dict[datetime, State]]:
    """By component the state of each minute; `first`: when the canary ran for the first time, None: never."""
    by_minute: dict[datetime, dict[str, Beat]] = {}
    for beat in beats:
        by_minute.setdefault(beat.at, {})[beat.family] = beat
    alive = {at for (at, _), counts in service.items() if counts.good}
    found: dict[str, dict[datetime, State]] = {each.key: {} for each in COMPONENTS}
    for at in minutes:
        for component in COMPONENTS:
            if first is None or at < first:
                state: State = "unknown"
            else:
                state = _state(component, at, by_minute.get(at, {}), service, alive=at in alive)
            found[component.key][at] = state
    return found


def _state(
    component: Component,
    at: datetime,
    beats: Mapping[str, Beat],
    service: Mapping[tuple[datetime, str], ServiceMinutes],
    *,
    alive: bool,
) -> State:
    if component.key == ACCEPTING:
        pushes = [beat for family, beat in beats.items() if family != PAGES]
        if not pushes:
            return "good" if alive else "bad"
        # A push that was refused or failed behind the door was accepted.
        return "bad" if all(_unreachable(beat) for beat in pushes) else "good"
    counts = service.get((at, component.of))
    if counts is not None and counts.valid >= VALID_LEAST and counts.failed > counts.valid * FAILED_MOST:
        return "bad"
    beat = beats.get(component.of)
    if beat is None:
        # Whoever has no phone of a provider for its canary has the pushes of its customers.
        seen = any(family != PAGES for family in beats)
        return "good" if alive or seen else "bad"
    # A phone or a credential of the canary's own says nothing of the service.
    return "bad" if not beat.good and beat.whose in ("ours", "provider") else "good"


def _unreachable(beat: Beat) -> bool:
    """Whether no answer of the service's came: codes are one word, what happens on the way is told in several."""
    return not beat.good and (" " in beat.why or beat.why in UNACCEPTED)


def tally(states: Mapping[datetime, State]) -> Tally:
    """How many minutes of each."""
    values = list(states.values())
    return Tally(values.count("good"), values.count("bad"), values.count("unknown"))


def minutes_between(start: datetime, end: datetime) -> list[datetime]:
    """The minutes from `start` to before `end`."""
    return [start + MINUTE * number for number in range(max(0, int((end - start) / MINUTE)))]
