"""Which minutes are bad for which component: the canary first, all customers' pushes beside it."""

from datetime import datetime, timedelta
from typing import Any

from billing.incidents.judging import Beat, judge, minutes_between, tally
from billing.models import PAGES
from delivery.selectors.status import ServiceMinutes
from tests.billing.incidents.canary_world import MINUTE, NOW

FAMILIES = ("apns", "fcm", PAGES)
Service = dict[tuple[datetime, str], ServiceMinutes]


def states(beats: list[Beat], service: Service | None = None, **more: Any) -> dict[str, str]:
    """What one minute is for each component."""
    found = judge([NOW], beats, service or {}, more.get("first", NOW - timedelta(days=1)))
    return {component: by_minute[NOW] for component, by_minute in found.items()}


def all_good() -> list[Beat]:
    return [Beat(NOW, family, True, "") for family in FAMILIES]


def test_all_is_good_where_the_canary_is() -> None:
    assert states(all_good()) == {"accepting": "good", "apns": "good", "fcm": "good", PAGES: "good"}


def test_a_provider_that_fails_is_bad_for_its_own_component_alone() -> None:
    beats = [Beat(NOW, "apns", False, "provider", "apns_shutdown"), *all_good()[1:]]
    assert states(beats) == {"accepting": "good", "apns": "bad", "fcm": "good", PAGES: "good"}


def test_a_door_that_nobody_can_reach_is_bad_for_all() -> None:
    beats = [Beat(NOW, family, False, "ours", "unreachable: ConnectionRefusedError") for family in FAMILIES]
    assert set(states(beats).values()) == {"bad"}


def test_pushes_that_are_refused_by_the_queue_are_not_accepted() -> None:
    beats = [Beat(NOW, family, False, "ours", "queue_down") for family in ("apns", "fcm")]
    assert states([*beats, all_good()[2]])["accepting"] == "bad"


def test_a_phone_or_key_of_the_canarys_own_says_nothing_of_the_service() -> None:
    beats = [Beat(NOW, "apns", False, "device", "apns_unregistered"), Beat(NOW, "fcm", False, "customer", "no_app")]
    assert states([*beats, all_good()[2]]) == {"accepting": "good", "apns": "good", "fcm": "good", PAGES: "good"}


def test_a_missing_canary_is_bad_unless_a_push_of_somebody_was_good() -> None:
    assert set(states([]).values()) == {"bad"}
    alive: Service = {(NOW, "fcm"): ServiceMinutes(3, 0, 1)}
    assert set(states([], alive).values()) == {"good"}
    assert set(states([], {(NOW, "fcm"): ServiceMinutes(3, 3, 0)}).values()) == {"bad"}


def test_before_the_first_canary_nothing_is_known() -> None:
    assert set(states([], first=None).values()) == {"unknown"}
    assert set(states([], first=NOW + MINUTE).values()) == {"unknown"}


def test_many_failed_pushes_are_bad_though_the_canary_is_good_and_few_are_not() -> None:
    def apns(valid: int, failed: int) -> str:
        return states(all_good(), {(NOW, "apns"): ServiceMinutes(valid, failed, valid - failed)})["apns"]

    assert [apns(20, 1), apns(20, 2), apns(19, 19), apns(1000, 50), apns(1000, 51)] == [
        *("good", "bad", "good", "good", "bad"),
    ]


def test_a_provider_without_a_phone_goes_by_the_customers_pushes() -> None:
    assert states([all_good()[0]])["fcm"] == "good"


def test_minutes_are_counted_and_a_span_that_ends_before_it_begins_has_none() -> None:
    found = judge(minutes_between(NOW, NOW + 3 * MINUTE), all_good(), {}, NOW)
    assert tally(found["apns"]) == (1, 2, 0)
    assert minutes_between(NOW, NOW - MINUTE) == []
