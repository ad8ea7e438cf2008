"""A push that is too large loses what only adorns it before any of its text, at Apple and at Google alike."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from delivery.protocol.wire import Push
from delivery.providers import text
from delivery.providers.apns import payload as apns
from delivery.providers.fcm import payload as fcm

Sent = Callable[[Push], dict[str, Any]]


def to_apple(push: Push) -> dict[str, Any]:
    """What an iPhone gets, with the text by the name that it has at Google."""
    body: dict[str, Any] = msgspec.json.decode(apns.body(push, 2))
    return body | {"message": body["aps"]["alert"]}


def to_google(push: Push) -> dict[str, Any]:
    """What an Android phone gets."""
    data: dict[str, Any] = msgspec.json.decode(fcm.body(push, 60))["message"]["data"]
    return data


pytestmark = pytest.mark.parametrize("sent", [to_apple, to_google])
URL = "https://chat.example.com/icon/"


def webhook(**members: str) -> Push:
    """A post of a webhook."""
    return Push(**{"type": "message", "device_id": "d", "ack_id": "a", "from_webhook": "true", **members})


@pytest.mark.parametrize("length", [3_900, 5_000, 200_000])
def test_an_icon_too_long_for_the_push_is_left_out_and_its_text_stays_whole(sent: Sent, length: int) -> None:
    got = sent(webhook(message="m" * 3_000, override_icon_url=URL + "x" * length, override_username="ci"))
    assert got["message"] == "m" * 3_000
    assert got["override_username"] == "ci"
    assert not got.get("override_icon_url")


@pytest.mark.parametrize("member", ["override_username", "sender_name"])
def test_a_name_too_long_for_the_push_is_cut_and_its_text_stays_whole(sent: Sent, member: str) -> None:
    got = sent(webhook(message="m" * 3_000, override_icon_url=URL, **{member: "n" * 5_000}))
    assert (got["message"], got[member]) == ("m" * 3_000, "n" * text.CHANNEL_NAME_LIMIT)
    assert got["override_icon_url"] == URL


def test_an_icon_that_fits_stays_however_long(sent: Sent) -> None:
    icon = URL + "x" * 2_000
    assert sent(webhook(message="hi", override_icon_url=icon))["override_icon_url"] == icon


def test_an_icon_of_ordinary_length_stays_beside_a_text_that_is_cut(sent: Sent) -> None:
    icon = URL + "x" * 100
    got = sent(webhook(message="m" * 9_000, override_icon_url=icon, override_username="ci"))
    assert got["override_icon_url"] == icon
    assert got["message"].endswith(text.ELLIPSIS)
