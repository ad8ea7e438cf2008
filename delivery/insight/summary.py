"""What became of a span's pushes as one sentence: how many were handed off, what failed, whose it is, what to do. Pure.

    str(summarise(counts, "in the last 24 hours", Clock(now, zone)))
    "99.88 % of 12,480 pushes were handed off in the last 24 hours; 14 failed, 12 of them because ... since 09:14."

Invariants: it is good only where nothing failed; shares are cut, so that 100 % is said of all alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from delivery.insight.catalogue import Entry, entry, whose

# What fails no longer is told as over.
OVER_AFTER: Final = timedelta(minutes=15)
# From this share on a failure is bad also when it is over.
BAD_SHARE: Final = 0.01


class Clock(NamedTuple):
    """When a sentence is said, and in which time zone its times are told."""

    now: datetime
    zone: ZoneInfo

    def tell(self, at: datetime) -> str:
        """A time of today as 09:14, an earlier one with its day."""
        local, today = at.astimezone(self.zone), self.now.astimezone(self.zone).date()
        if local.date() == today:
            return f"{local:%H:%M}"
        return f"{local:%-d %b, %H:%M}" if local.year == today.year else f"{local:%-d %b %Y, %H:%M}"


class Run(NamedTuple):
    """The latest unbroken run of a failure: the first and the last unit of time that it fell into, and whether it
    reaches back to where one has looked."""

    first: datetime
    last: datetime
    from_the_start: bool = False


class Failure(NamedTuple):
    """How many pushes failed with a code that is put down to somebody. `run` is None where it is not known."""

    code: str
    attribution: str
    pushes: int
    run: Run | None = None

    @property
    def meaning(self) -> Entry | None:
        """What the code means; None for a code of another version."""
        return entry(self.code)

    @property
    def cause(self) -> str:
        """Why, as part of a sentence."""
        return self.meaning.cause if self.meaning else "of a reason that this version does not know"

    @property
    def whose(self) -> str:
        """Whose it is, in words."""
        return whose(self.attribution, self.meaning.provider if self.meaning else "")

    @property
    def advice(self) -> str:
        """What to do, as part of a sentence."""
        if self.meaning is None:
            return "report it with a push's trace id"
        return self.meaning.fix_for(self.attribution)


@dataclass(frozen=True)
class Counts:
    """What became of a span's pushes; each is counted once. `failures` has the largest first."""

    pushes: int
    sent: int
    gone: int
    failures: Sequence[Failure] = ()

    @property
    def failed(self) -> int:
        """How many pushes failed."""
        return self.pushes - self.sent - self.gone


class Word(NamedTuple):
    """A piece of the sentence; `to` names the pushes that it counts ("" for none): all, failures, gone, code. `at`:
    the moment that the text tells."""

    text: str
    to: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Summary:
    """The sentence in pieces. `kind` is good, warn, bad, or quiet where there is nothing to tell of; `code` and
    `attribution` are those of the failure that it speaks of."""

    kind: str
    words: tuple[Word, ...]
    advice: str = ""
    code: str = ""
    attribution: str = ""

    def __str__(self) -> str:
        sentence = "".join(word.text for word in self.words)
        return f"{sentence} {self.advice}".strip()


def percent(part: int, whole: int, places: int = 2) -> str:
    """A share, cut and never rounded up: 9,999,999 of 10,000,000 is "99.99 %"; "–" of nothing."""
    if not whole:
        return "–"
    scale = 10**places
    cut = part * 100 * scale // whole
    if part and not cut:
        return f"< {1 / scale:g} %"
    text = f"{cut // scale}.{cut % scale:0{places}}".rstrip("0").rstrip(".") if places else str(cut)
    return f"{text} %"


def some_of(some: int, pushes: int) -> str:
    """So many of some pushes, as part of a sentence: "the only push", "all 7 pushes", "3 of 7 pushes"."""
    if some == pushes:
        return "the only push" if pushes == 1 else f"all {pushes:,} pushes"
    return f"{some:,} of {pushes:,} pushes"


def capitalised(words: str) -> str:
    """The words as a sentence begins."""
    return words[:1].upper() + words[1:]


def run_of(moments: Iterable[int], start: datetime, unit: timedelta) -> Run | None:
    """The latest run of these units of time (when each began, in seconds since 1970), without a pause of more than
    OVER_AFTER (of two units, if they are longer); None of none. `start`: since when one has looked."""
    pause = max(OVER_AFTER, 2 * unit).total_seconds()
    latest = sorted(set(moments), reverse=True)
    if not latest:
        return None
    first = latest[0]
    for at in latest[1:]:
        if first - at > pause:
            break
        first = at
    began, last = (datetime.fromtimestamp(seconds, UTC) for seconds in (first, latest[0]))
    return Run(began, last, began - start < unit)


def summarise(
    counts: Counts, when: str, clock: Clock, unit: timedelta = timedelta(minutes=1), *, chosen: bool = False
) -> Summary:
    """The sentence on these counts; `when` is the span, such as "in the last 24 hours"; `chosen`: they are of pushes
    that were chosen by what became of them, so that it says nothing that none of them was handed off."""
    if not counts.pushes:
        return Summary("quiet", (Word(f"No push came {when}."),))
    if counts.failed:
        return _of_failures(counts, when, clock, unit, chosen=chosen)
    rest = counts.pushes - counts.gone
    if not rest:
        devices = "the device of the only one" if counts.gone == 1 else f"the devices of all {counts.gone:,}"
        verb = "is" if counts.gone == 1 else "are"
        return Summary(
            "warn", (Word(f"No push was handed off {when}: "), Word(devices, "gone"), Word(f" {verb} gone."))
        )
    all_of = "The only push was" if counts.pushes == 1 else f"All {counts.pushes:,} pushes were"
    if counts.gone:
        all_of = f"{percent(counts.sent, counts.pushes)} of {counts.pushes:,} pushes were"
    words = (Word(all_of, "all"), Word(f" handed off {when}"), *_gone(counts), Word("."))
    return Summary("good", words)


def _of_failures(counts: Counts, when: str, clock: Clock, unit: timedelta, *, chosen: bool) -> Summary:
    top = counts.failures[0]
    if counts.pushes == 1:
        opening = [Word("The only push", "all"), Word(f" {when} "), Word("failed", "failures")]
    elif counts.sent:
        share = f"{percent(counts.sent, counts.pushes)} of {counts.pushes:,} pushes"
        opening = [
            Word(share, "all"),
            Word(f" were handed off {when}; "),
            Word(f"{counts.failed:,} failed", "failures"),
        ]
    elif chosen:
        opening = [Word(f"{counts.failed:,} pushes failed", "failures"), Word(f" {when}")]
    else:
        opening = [Word(f"None of {counts.pushes:,} pushes", "all"), Word(f" was handed off {when}; ")]
        opening.append(Word(f"{counts.failed:,} failed", "failures"))
    if counts.pushes > 1 and top.pushes < counts.failed:
        opening += [Word(", "), Word(f"{top.pushes:,} of them", "code")]
    reason = Word(f" because {top.cause} ("), Word(top.code, "code"), Word(")")
    words = (*opening, *reason, *_time_of(top, clock, unit), *_gone(counts), Word("."))
    lasts = top.run is None or clock.now - top.run.last <= max(OVER_AFTER, 2 * unit)
    bad = lasts or counts.failed >= counts.pushes * BAD_SHARE
    return Summary("bad" if bad else "warn", words, _advice(top), top.code, top.attribution)


def _time_of(failure: Failure, clock: Clock, unit: timedelta) -> Iterable[Word]:
    run = failure.run
    if run is None:
        return
    lasts = clock.now - run.last <= max(OVER_AFTER, 2 * unit)
    if lasts and run.from_the_start:
        yield Word(", all the time")
    elif lasts:
        yield from (Word(" since "), Word(clock.tell(run.first), at=run.first))
    elif run.first == run.last:
        yield from (
            Word(" at " if unit < timedelta(hours=1) else " around "),
            Word(clock.tell(run.first), at=run.first),
        )
    else:
        yield from (Word(", last from "), Word(clock.tell(run.first), at=run.first))
        yield from (Word(" to "), Word(clock.tell(run.last), at=run.last))


def _gone(counts: Counts) -> Iterable[Word]:
    if counts.gone:
        yield Word("; ")
        yield Word(_number(counts.gone, "was for a device that is gone", "were for devices that are gone"), "gone")


def _number(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _advice(failure: Failure) -> str:
    """Whose it is, and what to do, as a sentence."""
    owner = {
        "customer": "It is yours to mend",
        "ours": "It is ours to mend",
        "device": "It is the phone",
        "provider": f"It is {failure.whose}",
    }.get(failure.attribution, "Whose it is is not known")
    return f"{owner}: {failure.advice}."
