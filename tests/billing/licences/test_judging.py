"""A licence proves E1 by its plan, its features and its dates: each row of the table, with the sentence for people."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from billing.licences import file
from billing.licences.file import Issuer
from billing.licences.judging import GRACE, Code, Judgement, judge, phase
from billing.licences.skus import Tier
from tests.billing.licences import making
from tests.billing.licences.making import END, NOW, START, content


def judged(now: datetime = NOW, *, trials: bool = False, **changes: Any) -> Judgement:
    licence = file.read(making.of_text(json.dumps(content(**changes))), [Issuer("x", making.key("first").public_key())])
    return judge(licence, now, trials=trials)


@pytest.mark.parametrize("sku", ["E10", "professional", "E20", "enterprise", "advanced", "e10", "Enterprise"])
def test_each_plan_from_professional_on_includes_the_service(sku: str) -> None:
    found = judged(sku_short_name=sku)
    assert (found.code, found.tier, found.counts, found.kept) == (Code.GOOD, Tier.HPNS, True, True)
    assert "until 28 February 2027" in found.sentence  # the last day, as everywhere: it ends with that day


def test_entry_goes_by_the_test_services_terms_with_its_limit() -> None:
    found = judged(sku_short_name="entry", limits={"push_notifications": 10_000})
    assert (found.code, found.tier, found.counts) == (Code.ENTRY, Tier.ENTRY, True)
    assert "10,000 pushes a month" in found.sentence
    assert judged(sku_short_name="entry").code is Code.ENTRY


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"features": {"mhpns": False}}, Code.WITHOUT_HPNS, "switched off"),
        ({"features": {"future_features": False}}, Code.WITHOUT_HPNS, "switched off"),
        ({"features": {"cloud": True}}, Code.CLOUD, "Mattermost Cloud"),
        ({"sku_short_name": "cloud-starter", "features": {"cloud": True}}, Code.CLOUD, "Mattermost Cloud"),
        ({"sku_short_name": "platinum"}, Code.UNKNOWN_SKU, "platinum, is not known here"),
        ({"sku_short_name": "starter", "features": {"mhpns": False}}, Code.UNKNOWN_SKU, "starter, does not include"),
        ({"sku_short_name": ""}, Code.UNKNOWN_SKU, "none"),
        ({"is_trial": True}, Code.TRIAL, "trial"),
        ({"sku_short_name": "entry", "is_trial": True}, Code.TRIAL, "trial"),
    ],
)
def test_what_does_not_include_the_service_is_refused_with_the_reason_and_what_to_do(
    changes: dict[str, Any], code: Code, words: str
) -> None:
    found = judged(**changes)
    assert (found.code, found.tier, found.counts, found.kept) == (code, None, False, False)
    assert words in found.sentence
    assert found.what_to_do


def test_absent_features_are_good_ones() -> None:
    assert judged(features={}).code is Code.GOOD
    assert judged(features={"future_features": False, "mhpns": True}).code is Code.GOOD


@pytest.mark.parametrize("length", [timedelta(days=30, hours=8), timedelta(days=30, hours=23, minutes=59, seconds=59)])
def test_a_trial_is_known_by_its_length_and_counts_where_the_operator_takes_trials(length: timedelta) -> None:
    dates = {"starts_at": making.milliseconds(NOW), "expires_at": making.milliseconds(NOW + length)}
    assert judged(**dates).code is Code.TRIAL
    assert judged(trials=True, **dates).code is Code.GOOD
    longer = dates | {"expires_at": dates["expires_at"] + 1000}
    assert judged(**longer).code is Code.GOOD


SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("now", "code", "counts", "kept"),
    [
        (START - SECOND, Code.WAITING, False, True),
        (START, Code.GOOD, True, True),
        (END - SECOND, Code.GOOD, True, True),
        (END, Code.GRACE, True, True),
        (END + GRACE - SECOND, Code.GRACE, True, True),
        (END + GRACE, Code.EXPIRED, False, False),
    ],
)
def test_it_counts_from_its_start_to_the_end_of_the_grace(now: datetime, code: Code, counts: bool, kept: bool) -> None:
    found = judged(now)
    assert (found.code, found.counts, found.kept) == (code, counts, kept)
    assert phase(START, END, now) is code


def test_a_licence_of_a_leap_day_has_its_words() -> None:
    leap = making.milliseconds(datetime(2028, 2, 29, 12, tzinfo=UTC))
    assert "29 February 2028" in judged(expires_at=leap).sentence
