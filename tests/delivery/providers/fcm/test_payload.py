"""The bodies for Google: against the recorded reference, Firebase's own model, and where we go beyond the reference."""

import datetime
import json
import warnings
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from firebase_admin import messaging
from firebase_admin._messaging_encoder import MessageEncoder
from hypothesis import given

from delivery.protocol import policy, wire
from delivery.protocol.wire import Push
from delivery.providers.base import TooLargeError
from delivery.providers.fcm import payload
from tests.delivery.providers.bodies import IDS, assert_recorded, pushes_with_text
from tests.vectors import load

COMMON = IDS | {"category": "", "is_crt_enabled": "false", "sub_type": ""}


def push(**members: Any) -> Push:
    return Push(**(IDS | {"type": "message", "platform": "android_rn-v2", "device_id": "token:x"} | members))


def sent(one: Push, ttl: int = 60) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(payload.body(one, ttl))
    return decoded


def without_ttl(one: Push) -> dict[str, Any] | None:
    try:
        request = sent(one)
    except TooLargeError:
        return None
    del request["message"]["android"]["ttl"]
    return request


def size(data: dict[str, str]) -> int:
    return sum(len(name.encode()) + len(value.encode()) for name, value in data.items())


def test_every_recorded_body_is_the_references_or_differs_on_purpose(
    record_property: Callable[[str, object], None],
) -> None:
    assert_recorded("fcm", without_ttl, record_property, agree=450)


def test_every_recorded_push_is_encoded_as_by_firebase_admin() -> None:
    """Firebase's model is too dear for every push (five times the cost), so it stands beside it: same rules, here."""
    checked = 0
    for vector in load.pushes():
        if not any(request["provider"] == "fcm" for request in vector.provider_requests):
            continue
        one, _ = wire.decode_push(vector.body or b"")
        ttl = policy.lifetime(one)
        try:
            message = sent(one, ttl)["message"]
        except TooLargeError:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of the token's new name
            model = messaging.Message(
                data=message["data"],
                token=one.device_id,
                android=messaging.AndroidConfig(priority="high", ttl=datetime.timedelta(seconds=ttl)),
            )
        assert MessageEncoder().default(model) == message, vector.name
        checked += 1
    assert checked > 500


def test_firebase_admin_would_refuse_what_is_not_a_string() -> None:
    with pytest.raises(ValueError, match="non-string values"):
        MessageEncoder().default(messaging.Message(data={"badge": 1}, topic="x"))


def test_a_message_has_every_optional_member_as_an_empty_string() -> None:
    assert sent(push(message="alice: hi :+1:"), 604_800) == {
        "message": {
            "token": "token:x",
            "android": {"priority": "high", "ttl": "604800s"},
            "data": COMMON
            | {
                "type": "message",
                "badge": "0",
                "message": "alice: hi \U0001f44d",
                "channel_name": "",
                "from_webhook": "",
                "override_icon_url": "",
                "override_username": "",
                "post_id": "",
                "sender_id": "",
                "sender_name": "",
                "team_id": "",
            },
        }
    }


@pytest.mark.parametrize("kind", ["clear", "update_badge", "test", "", "MESSAGE"])
def test_a_silent_push_has_the_common_members_alone(kind: str) -> None:
    one = push(type=kind, message="not shown", sender_name="not shown", badge=-1, root_id="root")
    assert sent(one)["message"]["data"] == COMMON | {"type": kind, "root_id": "root"}


def test_an_id_loaded_push_is_from_someone() -> None:
    data = sent(push(is_id_loaded=True, message="a :+1:", sender_name="alice", is_crt_enabled=True))["message"]["data"]
    assert (data["sender_name"], data["id_loaded"], data["message"]) == ("Someone", "true", "a :+1:")
    assert (data["is_crt_enabled"], "channel_name" in data) == ("true", False)


def test_a_text_uses_all_the_room_there_is_and_no_more() -> None:
    data = sent(push(message='"' * 20_000))["message"]["data"]
    assert size(data) == payload.LIMIT
    assert data["message"].endswith('""\u2026')
    whole = push(message='"' * (data["message"].count('"') + 3))
    assert sent(whole)["message"]["data"]["message"] == whole.message


def test_the_length_of_the_token_takes_no_room() -> None:
    assert sent(push(message="x" * 3000, device_id="t" * 4000))["message"]["data"]["message"] == "x" * 3000


@pytest.mark.parametrize("members", [{"message": "hello"}, {"type": "clear"}, {"is_id_loaded": True, "message": "x"}])
def test_what_cannot_be_made_to_fit_is_too_large(members: dict[str, Any]) -> None:
    bare = size(sent(push(**members | {"message": "", "signature": "s"}))["message"]["data"]) - 1
    fits = sent(push(**members | {"signature": "s" * (payload.LIMIT - bare)}))["message"]["data"]
    assert size(fits) == payload.LIMIT
    for length in (payload.LIMIT - bare + 1, 240_000):
        with pytest.raises(TooLargeError, match=f"^{bare + length} bytes of {payload.LIMIT}$"):
            sent(push(**members | {"signature": "s" * length}))


@given(pushes_with_text(push))
def test_data_always_fit_and_keep_what_they_must(one: Push) -> None:
    data = msgspec.json.decode(payload.body(one, 60))["message"]["data"]
    assert size(data) <= payload.LIMIT
    assert all(isinstance(value, str) for value in data.values())
    assert (data["signature"], data["ack_id"], data["server_id"]) == ("a.b.c", "ack", "srv")
