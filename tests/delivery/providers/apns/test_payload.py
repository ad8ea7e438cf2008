"""The bodies for Apple: against the recorded reference, and where we go beyond it."""

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given

from delivery.protocol import policy
from delivery.protocol.wire import Push
from delivery.providers.apns import payload
from delivery.providers.base import TooLargeError
from tests.delivery.providers.bodies import IDS, assert_recorded, pushes_with_text
from tests.vectors import compare
from tests.vectors.differences import BODIES

MORE_IDS = {"post_id": "post", "team_id": "team", "sender_id": "user"}


def push(**members: Any) -> Push:
    phone = {"platform": "apple_rn-v2", "device_id": "d" * 64}
    return Push(**(IDS | MORE_IDS | phone | {"type": "message"} | members))


def sent(one: Push, app_version: int = 2) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(payload.body(one, app_version))
    return decoded


def for_the_platform(one: Push) -> dict[str, Any] | None:
    try:
        return sent(one, policy.app_label(one.platform)[1])
    except TooLargeError:
        return None


def test_every_recorded_body_is_the_references_or_differs_on_purpose(
    record_property: Callable[[str, object], None],
) -> None:
    assert_recorded("apns", for_the_platform, record_property, agree=600)


def test_the_comparison_finds_a_difference_that_no_row_explains() -> None:
    def louder(one: Push) -> dict[str, Any]:
        return (for_the_platform(one) or {}) | {"extra": "x"}

    assert len(compare.bodies("apns", louder, BODIES).unexplained) > 700


def test_the_comparison_finds_a_row_that_explains_nothing() -> None:
    first = next(row for row in BODIES if row.names)
    rows = [dataclasses.replace(first, names=("Ordinary message number 3 with a mix of optional fields",))]
    result = compare.bodies("apns", for_the_platform, rows)
    assert compare.idle(result, "apns", rows) == [first.instead, *rows[0].names]


def test_a_message_in_a_channel() -> None:
    one = push(message="alice: hi :+1:", channel_name="Town Square", badge=3, category="CAN_REPLY", sender_name="alice")
    assert sent(one) == {
        "aps": {
            "alert": {"body": "alice: hi \U0001f44d", "title": "Town Square"},
            "badge": 3,
            "category": "CAN_REPLY",
            "content-available": 1,
            "mutable-content": 1,
            "sound": "default",
            "thread-id": "chan",
        },
        "ack_id": "ack",
        "channel_id": "chan",
        "channel_name": "Town Square",
        "is_crt_enabled": False,
        "post_id": "post",
        "sender_id": "user",
        "sender_name": "alice",
        "server_id": "srv",
        "signature": "a.b.c",
        "sub_type": "",
        "team_id": "team",
        "type": "message",
        "version": "v2",
    }


@pytest.mark.parametrize(("badge", "shown"), [(-1, None), (0, 1), (5, 5), (-2, -2)])
def test_the_badge_of_a_clear_is_never_0_for_an_app_from_version_2_on(badge: int, shown: int | None) -> None:
    one = push(type="clear", badge=badge)
    assert sent(one)["aps"].get("badge") == shown
    assert sent(one, 1)["aps"].get("badge") == (None if badge == -1 else badge)


def test_a_session_wipe_wakes_the_app_without_a_sight_or_a_sound() -> None:
    one = push(type="session", cont_ava=1, sound="none")
    assert sent(one)["aps"] == {"badge": 0, "content-available": 1}
    assert (sent(one)["type"], sent(one)["signature"], sent(one)["ack_id"]) == ("session", "a.b.c", "ack")
    assert payload.push_type(one) == "alert"


@pytest.mark.parametrize("members", [{"message": "Session Expired"}, {"cont_ava": 0}, {"is_id_loaded": True}])
def test_no_other_session_push_is_silent(members: dict[str, Any]) -> None:
    assert sent(push(type="session", **({"cont_ava": 1} | members)))["aps"]["sound"] == "default"


def test_an_id_loaded_push_keeps_its_text_as_it_is() -> None:
    assert sent(push(message="You've a :+1:", is_id_loaded=True))["aps"]["alert"] == {"body": "You've a :+1:"}


def test_a_call_has_its_own_form_topic_and_type() -> None:
    one = push(transport="voip", sub_type="calls", root_id="root", message="ring", sender_name="alice")
    assert sent(one) == {
        "aps": {"content-available": 1},
        "ack_id": "ack",
        "channel_id": "chan",
        "id_loaded": False,
        "post_id": "post",
        "sender_id": "user",
        "sender_name": "alice",
        "server_id": "srv",
        "signature": "a.b.c",
        "sub_type": "calls",
        "thread_id": "root",
        "type": "message",
    }
    assert (payload.push_type(one), payload.topic(one, "com.x")) == ("voip", "com.x.voip")
    assert (payload.push_type(push()), payload.topic(push(), "com.x")) == ("alert", "com.x")


def test_a_text_uses_all_the_room_there_is_and_no_more() -> None:
    long = push(message="x" * 20_000, channel_name="Town Square")
    body = payload.body(long, 2)
    assert len(body) == payload.LIMIT
    assert json.loads(body)["aps"]["alert"]["body"].endswith("xx\u2026")
    whole = push(message="x" * (json.loads(body)["aps"]["alert"]["body"].count("x") + 3), channel_name="Town Square")
    assert len(payload.body(whole, 2)) == payload.LIMIT
    assert sent(whole)["aps"]["alert"]["body"] == whole.message


@pytest.mark.parametrize(
    ("members", "limit"),
    [
        ({"message": "hello", "from_webhook": ""}, 4096),
        ({"type": "clear", "from_webhook": ""}, 4096),
        ({"type": "update_badge", "from_webhook": ""}, 4096),
        ({"transport": "voip", "sub_type": "calls", "sender_id": ""}, 5120),
    ],
)
def test_what_cannot_be_made_to_fit_is_too_large(members: dict[str, Any], limit: int) -> None:
    long = next(name for name, value in members.items() if value == "")
    bare = len(payload.body(push(**members | {"message": "", long: "x"}), 2)) - 1
    fits = payload.body(push(**members | {long: "x" * (limit - bare)}), 2)
    assert len(fits) == limit
    for size in (limit - bare + 1, 240_000):
        with pytest.raises(TooLargeError, match=f"^{bare + size} bytes of {limit}$"):
            payload.body(push(**members | {long: "x" * size}), 2)


@given(pushes_with_text(push))
def test_a_body_always_fits_and_keeps_what_it_must(one: Push) -> None:
    body = payload.body(one, 2)
    assert len(body) <= payload.LIMIT
    decoded = msgspec.json.decode(body)
    assert (decoded["signature"], decoded["ack_id"], decoded["server_id"]) == ("a.b.c", "ack", "srv")
