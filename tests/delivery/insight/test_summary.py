"""The sentence about a span's pushes."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from delivery.insight.summary import Clock, Counts, Failure, Run, percent, run_of, some_of, summarise

NOW = datetime(2026, 9, 21, 9, 40, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CLOCK = Clock(NOW, ZoneInfo("Europe/Berlin"))
WHEN = "in the last 24 hours"
KEY = "apns_invalid_provider_token"


def at(hour: int, minute: int, day: int = 21) -> datetime:
    return datetime(2026, 9, day, hour, minute, tzinfo=UTC)


def key_refused(count: int, *, attribution: str = "customer", run: Run | None = None) -> Failure:
    return Failure(KEY, attribution, count, run or Run(at(7, 14), at(9, 39)))


def said(counts: Counts) -> tuple[str, str]:
    """The kind and the text."""
    found = summarise(counts, WHEN, CLOCK)
    return found.kind, str(found)


def test_without_a_push_nothing_is_praised() -> None:
    assert said(Counts(0, 0, 0)) == ("quiet", "No push came in the last 24 hours.")


def test_when_all_went_well_that_is_all_it_says() -> None:
    assert said(Counts(12480, 12480, 0)) == ("good", "All 12,480 pushes were handed off in the last 24 hours.")
    assert said(Counts(1, 1, 0)) == ("good", "The only push was handed off in the last 24 hours.")


def test_gone_devices_are_told_and_are_no_failure() -> None:
    text = "99.81 % of 12,480 pushes were handed off in the last 24 hours; 23 were for devices that are gone."
    assert said(Counts(12480, 12457, 23)) == ("good", text)
    assert said(Counts(1, 0, 1)) == (
        "warn",
        "No push was handed off in the last 24 hours: the device of the only one is gone.",
    )


def test_a_failure_is_told_with_its_cause_its_beginning_whose_it_is_and_what_to_do() -> None:
    counts = Counts(12480, 12464, 2, (key_refused(12), Failure("no_app", "customer", 2)))
    kind, text = said(counts)
    assert kind == "bad"
    assert text == (
        "99.87 % of 12,480 pushes were handed off in the last 24 hours; 14 failed, 12 of them because Apple refused"
        " the signing token made with the app's key (apns_invalid_provider_token) since 09:14; 2 were for devices that"
        " are gone. It is yours to mend: check that key id, team id and key file belong together and that Apple still"
        " lists the key."
    )


def test_nothing_is_green_while_one_push_of_millions_fails() -> None:
    kind, text = said(Counts(10_000_000, 9_999_999, 0, (key_refused(1),)))
    assert kind == "bad"
    assert text.startswith("99.99 % of 10,000,000 pushes")


def test_a_few_failures_that_are_over_warn_and_say_when_they_were() -> None:
    over = Run(at(1, 0), at(1, 30))
    kind, text = said(Counts(12480, 12479, 0, (key_refused(1, run=over),)))
    assert kind == "warn"
    assert ", last from 03:00 to 03:30." in text
    assert said(Counts(100, 90, 0, (key_refused(10, run=over),)))[0] == "bad"


def test_a_failure_of_one_minute_is_told_with_it_and_one_of_another_day_with_its_day() -> None:
    assert (
        "(apns_invalid_provider_token) at 03:00. It is"
        in said(Counts(5, 4, 0, (key_refused(1, run=Run(at(1, 0), at(1, 0))),)))[1]
    )
    assert (
        "from 20 Sep, 23:00 to 03:30" in said(Counts(5, 4, 0, (key_refused(1, run=Run(at(21, 0, 20), at(1, 30))),)))[1]
    )


def test_a_failure_that_was_there_all_the_time_says_so() -> None:
    run = Run(at(9, 40, 20), at(9, 39), from_the_start=True)
    text = said(Counts(60, 0, 0, (key_refused(60, run=run),)))[1]
    assert text.startswith("None of 60 pushes was handed off in the last 24 hours; 60 failed because Apple")
    assert ", all the time." in text


def test_the_only_push_that_failed_is_told_as_that() -> None:
    text = said(Counts(1, 0, 0, (key_refused(1),)))[1]
    assert text.startswith("The only push in the last 24 hours failed because Apple refused")


@pytest.mark.parametrize(
    ("failure", "advice"),
    [
        (key_refused(1, attribution="ours"), "It is ours to mend: the app is the operator's, who has to act"),
        (Failure("transport_dns", "ours", 1), "It is ours to mend: nothing to do unless it lasts"),
        (Failure("apns_idle_timeout", "provider", 1), "It is Apple: nothing to do unless it lasts"),
        (Failure("transport_connect", "provider", 1), "It is Apple or Google: nothing to do"),
        (Failure("bad_device_token", "device", 1), "It is the phone: let the user of this phone log in"),
        (Failure("of_tomorrow", "nobody", 1), "Whose it is is not known: report it with a push's trace id"),
    ],
)
def test_whose_it_is_is_said_in_plain_words(failure: Failure, advice: str) -> None:
    assert advice in said(Counts(3, 2, 0, (failure,)))[1]


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (12466, 12480, "99.88 %"),
        (9_999_999, 10_000_000, "99.99 %"),
        (10, 10, "100 %"),
        (1, 10, "10 %"),
        (0, 10, "0 %"),
        (1, 1_000_000, "< 0.01 %"),
        (0, 0, "–"),
    ],
)
def test_shares_are_cut(part: int, whole: int, text: str) -> None:
    assert percent(part, whole) == text


def test_a_run_ends_at_a_pause_and_knows_whether_one_has_seen_its_beginning() -> None:
    moments = [int(each.timestamp()) for each in (at(5, 0), at(7, 14), at(7, 20), at(7, 35))]
    assert run_of(moments, at(0, 0), MINUTE) == Run(at(7, 14), at(7, 35))
    assert run_of(moments[:1], at(5, 0), MINUTE) == Run(at(5, 0), at(5, 0), from_the_start=True)
    assert run_of([], at(0, 0), MINUTE) is None


@pytest.mark.parametrize(
    ("some", "pushes", "words"), [(1, 1, "the only push"), (1_200, 1_200, "all 1,200 pushes"), (1, 7, "1 of 7 pushes")]
)
def test_so_many_pushes_are_told_as_people_say_it(some: int, pushes: int, words: str) -> None:
    assert some_of(some, pushes) == words
