"""Judgement of a push provider's health: whether it takes what it is given, from counts of all customers' pushes. Pure.

Only pushes that are the provider's or ours to answer for are looked at (valid events of the SLA): a customer's wrong
key says nothing of Apple. Rates are told, never counts, and nothing at all where few pushes or few customers would make
them up: nobody is to read another customer's business out of them.
"""

import math
from collections.abc import Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from delivery.outcomes.verdict import Outcome
from delivery.rollups.buckets import Histogram, percentile
from delivery.rollups.reading import Counted

# Pushes below which a rate says nothing: one failure would be two per cent.
FEWEST: Final = 50
# Shares of failures from which on something is amiss (well providers fail less than one in a thousand), or is down.
TROUBLED: Final = 0.005
DOWN: Final = 0.5
# What the promise calls in time, in milliseconds, and the share that has to be.
SLOW_MS: Final = 3_000
# Outcomes by which the provider has done its part: it took the push, or said that the device is gone.
DONE: Final = frozenset((Outcome.SENT.value, Outcome.GONE.value))


class State(StrEnum):
    """How a provider stands, the worst last."""

    TOO_FEW = "too_few"
    WELL = "well"
    SLOW = "slow"
    OURS = "ours"
    TROUBLED = "troubled"
    DOWN = "down"


# As parts/status.html knows them, and a word.
MARKS: Final = {
    State.TOO_FEW: ("quiet", "Too few pushes"),
    State.WELL: ("good", "Works"),
    State.SLOW: ("warn", "Slow"),
    State.OURS: ("bad", "Our fault"),
    State.TROUBLED: ("bad", "In trouble"),
    State.DOWN: ("bad", "Down"),
}


class Figures(NamedTuple):
    """Counts of pushes that are the provider's or ours to answer for: `taken` by the provider, failed by it, failed by
    us, and how long the hand-off took."""

    taken: int
    theirs: int
    ours: int
    handoff: Histogram

    @property
    def total(self) -> int:
        """All of them."""
        return self.taken + self.theirs + self.ours


class Standing(NamedTuple):
    """What may be told of a provider over a span of time.

    share: handed off, of what is its or ours to answer for, 0 to 1; p50 and p95: milliseconds from acceptance to the
    provider's answer. All of them None where that is too few pushes or customers.
    """

    family: str
    name: str
    span: str
    state: State
    share: float | None = None
    theirs: float | None = None
    ours: float | None = None
    p50: int | None = None
    p95: int | None = None

    @property
    def is_the_provider(self) -> bool:
        """Whether a customer's trouble of now is likely to be this provider's."""
        return self.state in (State.TROUBLED, State.DOWN)

    @property
    def kind(self) -> str:
        """The kind of mark, as parts/status.html has them."""
        return MARKS[self.state][0]

    @property
    def word(self) -> str:
        """The state in a word or two."""
        return MARKS[self.state][1]

    @property
    def sentence(self) -> str:
        """The answer to "is it Apple?", for everybody."""
        return _SENTENCES[self.state].format(
            name=self.name,
            span=self.span,
            share=percent(self.share),
            theirs=percent(self.theirs, up=True),
            ours=percent(self.ours, up=True),
            p95=milliseconds(self.p95),
        )


_SENTENCES: Final = {
    State.TOO_FEW: "Too few pushes went to {name} in the last {span} to tell how it is.",
    State.WELL: "{name} took {share} of pushes in the last {span}: it is not {name}.",
    State.SLOW: "{name} took {share} of pushes in the last {span}, but slowly: one in twenty took {p95} or more.",
    State.OURS: "{ours} of pushes to {name} failed in the last {span} because of us: it is not {name}, and not you.",
    State.TROUBLED: "{name} failed to take {theirs} of pushes in the last {span}: it is {name}, and not you.",
    State.DOWN: "{name} takes few pushes: {theirs} failed in the last {span}. It is {name}, and not you.",
}


def figures(rows: Iterable[Counted]) -> Figures:
    """Add up counts by outcome, attribution and counts; those of no valid event of the SLA are left out."""
    taken = theirs = ours = 0
    handoff: Histogram = {}
    for row in rows:
        if not row.of["counts"]:
            continue
        if row.of["outcome"] in DONE:
            taken += row.pushes
        elif row.of["attribution"] == "ours":
            ours += row.pushes
        else:
            theirs += row.pushes
        if row.of["outcome"] in DONE:
            for bucket, count in row.handoff.items():
                handoff[bucket] = handoff.get(bucket, 0) + count
    return Figures(taken, theirs, ours, handoff)


def judge(family: str, name: str, span: str, found: Figures, *, recognisable: bool) -> Standing:
    """What may be told of these figures. recognisable: too few customers make them up."""
    total = found.total
    if recognisable or total < FEWEST:
        return Standing(family, name, span, State.TOO_FEW)
    p95 = percentile(found.handoff, 0.95)
    return Standing(
        family,
        name,
        span,
        _state(found, p95),
        share=found.taken / total,
        theirs=found.theirs / total,
        ours=found.ours / total,
        p50=percentile(found.handoff, 0.5),
        p95=p95,
    )


def _state(found: Figures, p95: int | None) -> State:
    theirs, ours = found.theirs / found.total, found.ours / found.total
    if theirs >= DOWN:
        return State.DOWN
    if theirs >= TROUBLED and theirs >= ours:
        return State.TROUBLED
    if ours >= TROUBLED:
        return State.OURS
    if p95 is not None and p95 >= SLOW_MS:
        return State.SLOW
    return State.WELL


def percent(share: float | None, *, up: bool = False) -> str:
    """A share as people read it, to a tenth of a per cent: 0.99987 -> "99.9 %". Never rounded to all or to nothing;
    up: to the next tenth above, for failures."""
    if share is None:
        return ""
    tenths = math.ceil(share * 1000 - 1e-9) if up else math.floor(share * 1000 + 1e-9)
    return f"{tenths / 10:.1f}".removesuffix(".0") + " %"


def milliseconds(value: int | None) -> str:
    """A latency as people read it: 340 ms, 1.2 s."""
    if value is None:
        return ""
    return f"{value:,} ms" if value < 1000 else f"{value / 1000:.1f} s"
