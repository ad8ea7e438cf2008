"""Words and labels of the delivery page."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from django.template.loader import render_to_string

from delivery.insight.summary import percent
from delivery.metrics.names import TYPES
from delivery.outcomes.verdict import Outcome
from delivery.pages import filter_bar, overview_splits, overview_tables
from delivery.pages.figures import Totals
from delivery.pages.filters import FAILED, FAILURES, FAMILIES
from delivery.pages.overview_tables import about, duration
from delivery.rollups.buckets import SLOTS, add, pack
from delivery.rollups.cells import OTHER
from hpns.templatetags.pages import exact_time
from tenants.providers.table import PROVIDERS


def test_every_value_that_can_be_counted_has_its_words() -> None:
    assert set(filter_bar.TYPE_LABELS) == {*TYPES, OTHER}
    assert set(filter_bar.OUTCOMES) == {FAILURES, *(outcome.value for outcome in Outcome)}
    assert set(FAMILIES) == {*PROVIDERS, OTHER}
    assert set(FAILED) | {"sent", "gone"} == {outcome.value for outcome in Outcome}


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, "–"),
        (340, "340 ms"),
        (1_240, "1.2 s"),
        (59_900, "59.9 s"),
        (240_000, "4 min"),
        (9_000_000, "2.5 h"),
    ],
)
def test_latencies_are_told_as_people_read_them(milliseconds: int | None, text: str) -> None:
    assert duration(milliseconds) == text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, "–"),
        (1_240, "1.2 s"),
        (84_853, "1 to 2 min"),
        (519_615, "5 to 15 min"),
        (1_800_000, "15 to 60 min"),
        (8_818_163, "1 to 6 h"),
        (43_200_000, "6 to 24 h"),
        (228_592_213, "1 to 7 d"),
        (604_800_000, "over a week"),
    ],
)
def test_a_percentile_above_a_minute_is_told_as_between_what_it_lies(milliseconds: int | None, text: str) -> None:
    assert about(milliseconds) == text


@pytest.mark.parametrize(
    ("value", "earlier", "text"),
    [
        (1_240, 340, "+900 ms"),
        (340, 340, "no change"),
        (8_818_163, 8_818_163, "no change"),
        (8_818_163, 340, "340 ms before"),
        (340, 8_818_163, "1 to 6 h before"),
    ],
)
def test_a_change_is_told_as_exactly_as_it_is_known(value: int, earlier: int, text: str) -> None:
    assert overview_tables._slower(value, earlier) == text


def test_a_share_of_one_among_very_many_is_not_told_as_none() -> None:
    assert percent(1, 10_000_000) == "< 0.01 %"
    assert percent(1, 10_000_000, 1) == "< 0.1 %"


@pytest.mark.parametrize(
    "at", [datetime(2026, 9, 1, 4, 5, 6, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5)))]
)
def test_the_times_of_charts_are_those_of_every_other_page(at: datetime) -> None:
    part = render_to_string("parts/time.html", {"at": at.astimezone(UTC), "exact": True}).strip()
    assert str(exact_time(at)) == part


def test_histograms_add_up_as_they_were_packed() -> None:
    found = {3: 5, SLOTS - 1: 1_000_000}
    into = {3: 1}
    add(into, pack(found))
    assert into == {3: 6, SLOTS - 1: 1_000_000}


@pytest.mark.parametrize(
    ("iphones", "androids", "sentence"),
    [
        ((60, 12), (55, 0), "Only pushes to iPhones fail: 12 of 60 failed, and none of 55 to Android phones."),
        ((900, 1), (4, 4), "Only pushes to Android phones fail: all 4 failed, and 1 of 900 to iPhones."),
        ((60, 12), (55, 9), ""),
        ((60, 2), (55, 0), ""),
        ((60, 12), (0, 0), ""),
    ],
)
def test_that_one_providers_phones_alone_are_concerned_is_said(
    iphones: tuple[int, int], androids: tuple[int, int], sentence: str
) -> None:
    families = {"apns": iphones, "fcm": androids}
    parts = {name: Totals(pushes, pushes - failed) for name, (pushes, failed) in families.items() if pushes}
    assert overview_splits.one_sided(parts) == sentence
