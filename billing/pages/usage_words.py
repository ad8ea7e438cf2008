"""Usage in sentences: a month in one, what is included, and the banner for owners. Pure."""

import calendar
from datetime import datetime
from typing import Any

from billing.facts import Terms
from billing.usage import forecast, months
from billing.usage.counting import Figures
from billing.usage.quotas import Level, Measure, MeasureState, QuotaState, percent
from billing.usage.telling import WORDS


def number(count: int, noun: str) -> str:
    """A count with its noun: "1 push", "81,300 pushes"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {'pushes' if noun == 'push' else noun + 's'}"


def sentence(
    found: Figures, expected: int | None, terms: Terms | None, state: QuotaState, now: datetime
) -> dict[str, Any]:
    """The month in a sentence, for parts/sentence.html."""
    running = not months.over(found.month, now)
    begin = f"so far in {calendar.month_name[found.month.month]}" if running else f"in {months.words(found.month)}"
    if not found.pushes and not found.devices:
        words = f"No push {begin}."
        return {"kind": "info", "words": [{"text": words}], "advice": ""}
    devices = f"{number(found.devices, 'active device')} and " if found.devices is not None else ""
    words = f"{devices}{number(found.pushes, 'push')} {begin}"
    if expected is not None:
        words += f"; at this pace about {forecast.rounded(expected):,} pushes"
    clause, kind = _against(found, expected, terms, running=running)
    words += clause
    return {"kind": kind, "words": [{"text": f"{words}."}], "advice": advice(state, now) if running else ""}


def _against(found: Figures, expected: int | None, terms: Terms | None, *, running: bool) -> tuple[str, str]:
    """How that stands to what is included, and the kind of the sentence."""
    if terms is None:
        return "", "info"
    beyond = [
        f"{number(used - included, noun)} more than the {included:,} included"
        for noun, used, included in (
            ("push", found.pushes, terms.included_pushes),
            ("active device", found.devices or 0, terms.included_devices),
            ("server", found.servers, terms.included_servers),
        )
        if included is not None and used > included
    ]
    if beyond:
        return f"; {'already ' if running else ''}{' and '.join(beyond)}", "warn"
    bounds = (terms.included_pushes, terms.included_devices, terms.included_servers)
    if all(bound is None for bound in bounds):
        return "; all of it is included", "good"
    if expected is not None and terms.included_pushes is not None and expected > terms.included_pushes:
        return f", more than the {terms.included_pushes:,} included", "warn"
    return ", within what is included", "good"


def advice(state: QuotaState, now: datetime) -> str:
    """What follows from a quota that is used up, as a sentence; "" where nothing does."""
    worst = state.worst
    if worst is None or worst.level < Level.FULL:
        return ""
    what = WORDS[worst.share.measure]
    if worst.level is Level.LIMITED:
        return (
            f"Pushes are slower until the month ends, because {worst.share.percent} % of the included {what} are used. "
            "Wipes of devices always pass."
        )
    if worst.level is Level.ANNOUNCED and worst.limits_at is not None:
        return f"From {_day(worst.limits_at)} until the month ends pushes are slower. Wipes of devices always pass."
    if worst.grace_until is not None and now < worst.grace_until:
        return f"Pushes go on as before until {_day(worst.grace_until)}, or until 120 % are used."
    return ""


def banner(state: QuotaState, now: datetime) -> str:
    """What owners read on every page while it matters; "" otherwise. It ends with the month, or with the cause."""
    worst = state.worst
    if worst is None or worst.level < Level.NEAR:
        return ""
    share = worst.share
    what = WORDS[share.measure]
    used = (
        f"{share.used:,} of the {share.included:,} {what} that are included this month are used ({share.percent:,} %)."
    )
    return f"{used} {advice(state, now)}".strip()


def share_words(used: int | None, included: int | None) -> str:
    """How a figure stands to what is included: "60 % of 2,000 included"."""
    if included is None or used is None:
        return ""
    return f"{percent(used, included):,} % of {included:,} included" if included else "none included"


def of_measure(state: QuotaState, measure: Measure) -> MeasureState | None:
    """The state of one measure; None where nothing bounds it."""
    return next((each for each in state.measures if each.share.measure is measure), None)


def _day(at: datetime) -> str:
    return f"{at.day} {at:%b %Y, %H:%M} UTC"
