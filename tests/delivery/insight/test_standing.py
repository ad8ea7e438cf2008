"""What is said of a provider, out of counts."""

import pytest

from delivery.insight.standing import FEWEST, Figures, State, figures, judge, milliseconds, percent
from delivery.rollups.buckets import bucket_of, pack
from delivery.rollups.reading import Counted


def counted(outcome: str, attribution: str, pushes: int, *, counts: bool = True, ms: int = 80) -> Counted:
    of = {"outcome": outcome, "attribution": attribution, "counts": counts}
    return Counted(None, of, pushes, 0, str(pack({bucket_of(ms): pushes})[0]))


def judged(taken: int, theirs: int = 0, ours: int = 0, *, ms: int = 80, recognisable: bool = False):  # type: ignore[no-untyped-def]
    found = Figures(taken, theirs, ours, {bucket_of(ms): taken} if taken else {})
    return judge("apns", "Apple", "15 minutes", found, recognisable=recognisable)


def test_a_provider_that_takes_nearly_everything_is_not_the_cause() -> None:
    found = judged(9_990, theirs=9)
    assert found.state is State.WELL
    assert found.sentence == "Apple took 99.9 % of pushes in the last 15 minutes: it is not Apple."


def test_a_provider_that_fails_one_in_fifty_is_the_cause() -> None:
    found = judged(980, theirs=20)
    assert found.is_the_provider
    assert found.sentence == "Apple failed to take 2 % of pushes in the last 15 minutes: it is Apple, and not you."


def test_a_provider_that_takes_next_to_nothing_is_down() -> None:
    assert judged(10, theirs=990).state is State.DOWN


def test_what_we_fail_is_not_put_down_to_the_provider() -> None:
    found = judged(900, theirs=1, ours=99)
    assert found.state is State.OURS
    assert not found.is_the_provider
    assert found.sentence.startswith("9.9 % of pushes to Apple failed in the last 15 minutes because of us")


def test_a_provider_that_takes_its_time_is_slow() -> None:
    found = judged(1_000, ms=4_000)
    assert found.state is State.SLOW
    assert "but slowly" in found.sentence


@pytest.mark.parametrize("found", [judged(FEWEST - 1), judged(10_000, recognisable=True), judged(0)])
def test_nothing_is_told_of_few_pushes_or_of_few_customers(found) -> None:  # type: ignore[no-untyped-def]
    assert found.state is State.TOO_FEW
    assert (found.share, found.theirs, found.ours, found.p50, found.p95) == (None,) * 5


def test_customers_own_faults_say_nothing_of_a_provider() -> None:
    rows = [
        counted("sent", "provider", 100),
        counted("gone", "device", 5),
        counted("refused", "customer", 1_000, counts=False),
        counted("failed", "provider", 2),
        counted("expired", "ours", 1),
    ]
    found = figures(rows)
    assert (found.taken, found.theirs, found.ours) == (105, 2, 1)


def test_latencies_are_those_of_what_was_handed_off() -> None:
    found = figures([counted("sent", "provider", 100, ms=50), counted("failed", "provider", 100, ms=50_000)])
    assert found.handoff == {bucket_of(50): 100}


@pytest.mark.parametrize(("share", "text"), [(1.0, "100 %"), (0.99999, "99.9 %"), (0.987, "98.7 %"), (0.0, "0 %")])
def test_a_share_that_is_not_all_is_never_rounded_to_all(share: float, text: str) -> None:
    assert percent(share) == text


def test_a_share_of_failures_is_never_rounded_to_nothing() -> None:
    assert percent(0.000001, up=True) == "0.1 %"
    assert percent(0.0, up=True) == "0 %"
    assert percent(None) == ""


def test_latencies_are_told_in_the_unit_that_people_use() -> None:
    assert [milliseconds(value) for value in (340, 1_240, None)] == ["340 ms", "1.2 s", ""]
