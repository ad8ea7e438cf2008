"""When a push is tried again: for how long, and after which pauses."""

from hypothesis import given
from hypothesis import strategies as st

from delivery.protocol import policy, schedule
from delivery.protocol.wire import Push

SCHEDULES = st.sampled_from([schedule.CALL, schedule.TEST, schedule.STATE, schedule.WIPE, schedule.MESSAGE])
CHANCE = st.floats(0, 1, exclude_max=True)
TRIES = st.integers(1, 10_000)
ASKED = st.floats(0, 1e9)
PUSHES = st.builds(
    Push,
    type=st.sampled_from(["message", "clear", "update_badge", "session", "test", "", "another"]),
    sub_type=st.sampled_from(["", "calls"]),
    transport=st.sampled_from(["", "voip"]),
    platform=st.sampled_from(["apple_rn-v2", "android_rn-v2", ""]),
    cont_ava=st.sampled_from([0, 1]),
    message=st.sampled_from(["", "hi"]),
)


@given(SCHEDULES, TRIES, CHANCE)
def test_a_pause_is_anything_from_nothing_to_its_bound(one: schedule.Schedule, tries: int, chance: float) -> None:
    assert 0 <= schedule.pause(one, tries, 0.0, chance) <= one.longest


@given(SCHEDULES, TRIES, ASKED, CHANCE)
def test_no_pause_is_shorter_than_what_the_provider_asked_for(
    one: schedule.Schedule, tries: int, asked: float, chance: float
) -> None:
    assert schedule.pause(one, tries, asked, chance) >= asked


@given(SCHEDULES, TRIES)
def test_the_bound_of_a_pause_never_falls_with_the_tries(one: schedule.Schedule, tries: int) -> None:
    assert schedule.pause(one, tries, 0.0, 0.9) <= schedule.pause(one, tries + 1, 0.0, 0.9)


def test_those_that_a_provider_sent_away_together_do_not_come_back_together() -> None:
    pauses = [schedule.pause(schedule.MESSAGE, 1, 2.0, part / 100) for part in range(100)]
    assert (min(pauses), max(pauses) - min(pauses) > 0.4) == (2.0, True)


@given(PUSHES)
def test_no_push_is_tried_again_for_longer_than_a_phone_could_still_get_it(push: Push) -> None:
    assert schedule.of(push).lifetime <= policy.lifetime(push)


@given(PUSHES)
def test_only_tests_are_not_tried_later(push: Push) -> None:
    ringing = policy.is_voip(push) or push.sub_type == "calls"
    assert schedule.of(push).later == (ringing or push.type != "test")


def test_each_kind_of_push_has_the_lifetime_of_its_use() -> None:
    lifetimes = {
        "call": schedule.of(Push(type="message", transport="voip", platform="apple_rn-v2")).lifetime,
        "Android's call": schedule.of(Push(type="message", sub_type="calls", platform="android_rn-v2")).lifetime,
        "badge": schedule.of(Push(type="update_badge")).lifetime,
        "clear": schedule.of(Push(type="clear")).lifetime,
        "message": schedule.of(Push(type="message")).lifetime,
        "wipe": schedule.of(Push(type="session", cont_ava=1)).lifetime,
        "session": schedule.of(Push(type="session", message="Session expired")).lifetime,
    }
    assert lifetimes == {
        "call": 60,
        "Android's call": 60,
        "badge": 120,
        "clear": 120,
        "message": 86_400,
        "wipe": policy.WEEK,
        "session": 86_400,
    }


@given(SCHEDULES, st.floats(0, 1e7))
def test_what_is_older_than_its_lifetime_is_not_worth_a_try(one: schedule.Schedule, age: float) -> None:
    assert schedule.is_worth(one, age) == (age < one.lifetime)
