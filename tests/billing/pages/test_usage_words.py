"""A month in a sentence, and what owners are told of their quota."""

from datetime import datetime, timedelta

import pytest

from billing.facts import Month, Terms
from billing.pages import usage_words as words
from billing.usage.counting import Figures
from billing.usage.quotas import Measure, Notice, Step, quota
from tests.billing.usage.used import at, terms

NOVEMBER = Month(2026, 11)
NOW = at(11, 25)


def figures(pushes: int = 81_300, devices: int | None = 1_204, servers: int = 1) -> Figures:
    return Figures(NOVEMBER, pushes, devices, devices, servers, None, (), (), ())


def said(
    found: Figures, expected: int | None = None, plan: Terms | None = None, now: datetime = NOW
) -> tuple[str, str]:
    state = quota(now, found.usage, plan or terms(included_pushes=None), ())
    told = words.sentence(found, expected, plan, state, now)
    return told["kind"], told["words"][0]["text"]


def test_the_running_month_is_said_with_where_it_leads() -> None:
    assert said(figures(), 94_812, terms(included_pushes=100_000)) == (
        "good",
        "1,204 active devices and 81,300 pushes so far in November; at this pace about 95,000 pushes, within what is "
        "included.",
    )


@pytest.mark.parametrize(
    ("found", "expected", "plan", "kind", "end"),
    [
        (figures(), None, None, "info", "81,300 pushes so far in November."),
        (figures(), 94_812, None, "info", "at this pace about 95,000 pushes."),
        (figures(), None, terms(included_pushes=100_000), "good", "so far in November, within what is included."),
        (
            figures(),
            94_812,
            terms(included_pushes=90_000),
            "warn",
            "about 95,000 pushes, more than the 90,000 included.",
        ),
        (
            figures(),
            94_812,
            terms(included_pushes=80_000),
            "warn",
            "; already 1,300 pushes more than the 80,000 included.",
        ),
        (figures(), None, terms(included_pushes=81_299), "warn", "; already 1 push more than the 81,299 included."),
        (figures(), None, terms(included_pushes=None), "good", "; all of it is included."),
        (
            figures(servers=3),
            None,
            terms(included_pushes=None, included_devices=1_200, included_servers=2),
            "warn",
            "already 4 active devices more than the 1,200 included and 1 server more than the 2 included.",
        ),
        (figures(1, 1), None, None, "info", "1 active device and 1 push so far in November."),
        (figures(0, 0), None, terms(), "info", "No push so far in November."),
        (figures(5, None), None, None, "info", "5 pushes so far in November."),
    ],
)
def test_what_is_included_ends_the_sentence(
    found: Figures, expected: int | None, plan: Terms | None, kind: str, end: str
) -> None:
    assert said(found, expected, plan)[0] == kind
    assert said(found, expected, plan)[1].endswith(end)


def test_a_month_that_is_over_is_said_as_such() -> None:
    december = at(12, 5)
    assert said(figures(), None, terms(included_pushes=90_000), december)[1] == (
        "1,204 active devices and 81,300 pushes in November 2026, within what is included."
    )
    assert said(figures(0, 0), None, None, december)[1] == "No push in November 2026."


def told(days: int, pushes: int, *steps: tuple[Step, int]) -> str:
    now = at(11, 1) + timedelta(days=days)
    history = [Notice(NOVEMBER, Measure.PUSHES, step, at(11, 1) + timedelta(days=day)) for step, day in steps]
    return words.banner(quota(now, figures(pushes).usage, terms(), history), now)


def test_the_banner_says_how_far_it_is_and_what_follows() -> None:
    assert told(5, 799) == ""
    assert told(5, 812) == "812 of the 1,000 pushes that are included this month are used (81 %)."
    full = "1,100 of the 1,000 pushes that are included this month are used (110 %)."
    assert told(5, 1_100) == full
    assert told(5, 1_100, (Step.FULL, 4)) == (
        f"{full} Pushes go on as before until 12 Nov 2026, 10:00 UTC, or until 120 % are used."
    )
    announced = ((Step.FULL, 4), (Step.LIMITS, 11))
    assert told(12, 1_100, *announced).endswith(
        "From 19 Nov 2026, 10:00 UTC until the month ends pushes are slower. Wipes of devices always pass."
    )
    assert "Pushes are slower until the month ends" in told(19, 1_100, *announced)


def test_the_banner_ends_with_the_month() -> None:
    assert told(30, 1_100, (Step.FULL, 4), (Step.LIMITS, 11)) == ""
