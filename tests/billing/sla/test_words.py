"""The SLA's figures in words, and the grid of a month."""

from datetime import timedelta

import pytest

from billing.facts import Month
from billing.pages import sla_words as words
from billing.sla import judging
from tests.billing.sla.months import at, row

NOVEMBER = Month(2026, 11)
FIRST = at("2026-11-01T00:00")


@pytest.mark.parametrize(
    ("bad", "so_far", "has_sla", "kind", "advice"),
    [
        (0, True, True, "good", "until the month ends it bears 43 more bad minutes"),
        (1, True, True, "warn", "it bears 42 more bad minutes"),
        (42, True, True, "warn", "1 more bad minute."),
        (44, True, True, "bad", "you are credited 10 %"),
        (44, False, True, "bad", "you were credited 10 %"),
        (1, False, True, "warn", "was kept"),
        (44, False, False, "bad", "nothing is credited"),
    ],
)
def test_a_month_is_told_in_a_sentence(bad: int, so_far: bool, has_sla: bool, kind: str, advice: str) -> None:
    rows = [row(FIRST + timedelta(minutes=n), 0, 0, "bad") for n in range(bad)]
    told = words.sentence(judging.summed(rows, NOVEMBER, 43_200), so_far=so_far, has_sla=has_sla)
    assert told["kind"] == kind
    assert advice in told["advice"]
    assert ("no push has been counted yet" if so_far else "no push came") in told["words"][0]["text"]


@pytest.mark.parametrize("missing", [True, False])
def test_a_broken_chain_is_told_with_what_stays_verifiable_and_what_to_do(missing: bool) -> None:
    told = words.broken(FIRST.date() + timedelta(days=1), FIRST.date(), missing=missing)
    assert "broke on 2 November 2026" in told
    assert ("could not be made" if missing else "does not follow from the day before") in told
    assert "sealed up to 1 November 2026 stays verifiable: keep the files" in told
    assert "You need to do nothing" in told
    assert "you are told by e-mail" in told
    assert "stays verifiable" not in words.broken(FIRST.date(), FIRST.date(), missing=missing)


def test_one_of_something_is_said_as_one() -> None:
    stats = words.stats(judging.summed([row(FIRST, 1, 0)], NOVEMBER, 1_000))
    assert stats[1]["change"] == "0 of 1 push failed: fewer than 1,000"
    assert stats[-1]["change"] == "of 1 bad minute in the month"


def test_the_first_hours_of_a_month_have_the_whole_months_budget() -> None:
    hours = judging.summed([row(FIRST, 2_000, 1, "bad")], NOVEMBER, 120)
    told = words.sentence(hours, so_far=True, has_sla=True, ahead=43_080)
    assert words.stats(hours, 43_080)[-1]["value"] == "42 min"
    assert words.stats(hours, 43_080)[-1]["change"] == "of 43 bad minutes in the month; 1 of 2 failed pushes so far"
    assert told["kind"] == "bad"  # so far: one bad minute of 120
    good = words.sentence(judging.summed([], NOVEMBER, 120), so_far=True, has_sla=True, ahead=43_080)
    assert "until the month ends it bears 43 more bad minutes." in good["advice"]


def test_a_budget_that_is_used_up_either_way_says_so() -> None:
    failed = judging.summed([row(FIRST, 2_000, 3)], NOVEMBER, 43_200)
    assert words.stats(failed)[-1]["value"] == "used up"
    assert words.stats(judging.summed([row(FIRST, 2_000, 2)], NOVEMBER, 43_200))[-1]["value"] == "43 min"


def test_the_grid_has_each_hour_with_its_bad_minutes() -> None:
    rows = [
        row(at("2026-11-02T03:04"), 20, 2),
        row(at("2026-11-02T03:05"), 20, 2),
        row(at("2026-11-02T04:00"), 20, 0),
        row(at("2026-11-02T05:00"), 0, 0, excluded=True),
    ]
    days = words.grid(rows, NOVEMBER, at("2026-11-02T00:00"), at("2026-11-03T01:30"))
    assert [day.day.day for day in days] == [2, 3]
    assert [(cell.kind, cell.bad) for cell in days[0].cells[2:6]] == [
        ("idle", 0), ("bad", 2), ("good", 0), ("excluded", 0),
    ]  # fmt: skip
    assert days[0].cells[3].words == "2 bad minutes"
    assert [cell.kind for cell in days[1].cells[:3]] == ["idle", "idle", "none"]
