"""The body of an FCM request, as Mattermost's Android app reads it. Pure.

Which data a push has follows the reference proxy
(https://github.com/mattermost/mattermost-push-proxy/blob/master/server/android_notification_server.go) and the form of
the message Google's page (https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages): every value of
`data` is a string, there is no notification block (the app draws its own), priority is high so that a sleeping phone
wakes. Beyond the reference: emoji as the apps know them, a text cut so that the data fits, and a time to live.

Invariant: ids and the signature leave byte for byte as they came; only the message is ever shortened, and before it
what adorns it (text.without_ornaments).
"""

from functools import lru_cache
from typing import Final

import msgspec

from delivery.protocol.wire import Push
from delivery.providers import text
from delivery.providers.base import TooLargeError

LIMIT: Final = 4096
"""Bytes that Google takes in the names and values of `data` together
(https://firebase.google.com/docs/cloud-messaging/concept-options)."""

LONGEST_TOKEN: Final = 4096
"""Bytes of a device token, which Google counts apart; those of today have less than 300."""

NO_SIGNATURE: Final = "NO_SIGNATURE"

SOMEONE: Final = "Someone"
"""The sender's name of an id-loaded push: the app shows it until the server has told it who wrote."""


class _Common(msgspec.Struct, gc=False):
    """What every push has; a member UNSET is left out, one that is empty is not."""

    ack_id: str
    type: str
    sub_type: str
    server_id: str
    version: str
    category: str
    channel_id: str
    signature: str
    is_crt_enabled: str
    badge: str | msgspec.UnsetType
    root_id: str | msgspec.UnsetType


class _IdLoaded(_Common, gc=False):
    id_loaded: str
    post_id: str
    message: str
    team_id: str
    sender_id: str
    sender_name: str


class _Shown(_Common, gc=False):
    post_id: str
    message: str
    team_id: str
    sender_id: str
    sender_name: str
    channel_name: str
    override_username: str
    override_icon_url: str
    from_webhook: str


class _Android(msgspec.Struct, gc=False):
    priority: str
    ttl: str


class _Message(msgspec.Struct, gc=False):
    token: str
    data: _Common
    android: _Android


class _Request(msgspec.Struct, gc=False):
    message: _Message


class _Question(_Request, gc=False):
    validate_only: bool


_encode = msgspec.json.Encoder().encode


def body(push: Push, ttl: int) -> bytes:
    """Return the JSON body for a push that is worth delivering for `ttl` seconds.

    Data too long for Google lose what only adorns them, and then get a shorter message, with an ellipsis. Raises
    TooLargeError if they are too long even without one: nothing else is ours to cut.
    """
    data = _data(push)
    encoded = _encode(_Request(_Message(push.device_id, data, _android(ttl))))
    if len(encoded) > LIMIT and _size(data) > LIMIT:
        encoded = _encode(_Request(_Message(push.device_id, _fitted(push, data), _android(ttl))))
    return encoded


def _fitted(push: Push, data: _Common) -> _Common:
    """Return the data of a push that are too long as they are."""
    for lean in text.without_ornaments(push):
        data = _data(lean)
        if _size(data) <= LIMIT:
            return data
    if isinstance(data, _Shown | _IdLoaded):
        data.message = text.shorten(data.message, _length(data.message) - (_size(data) - LIMIT), _length)
    if (size := _size(data)) > LIMIT:
        raise TooLargeError(f"{size} bytes of {LIMIT}")
    return data


def question(push: Push, ttl: int) -> bytes:
    """Return the JSON body that asks Google whether it would take a push, which then reaches no phone."""
    return _encode(_Question(_Message(push.device_id, _data(push), _android(ttl)), True))


def _data(push: Push) -> _Common:
    """Return the data of a push; the values that both kinds and all types share come first."""
    badge = msgspec.UNSET if push.badge == -1 else str(push.badge)
    crt = "true" if push.is_crt_enabled else "false"
    signature = push.signature or NO_SIGNATURE
    root = push.root_id or msgspec.UNSET
    if push.is_id_loaded:
        return _IdLoaded(
            push.ack_id,
            push.type,
            push.sub_type,
            push.server_id,
            push.version,
            push.category,
            push.channel_id,
            signature,
            crt,
            badge,
            root,
            "true",
            push.post_id,
            text.message(push),
            push.team_id,
            push.sender_id,
            SOMEONE,
        )
    if push.type in text.SHOWN_TYPES:
        return _Shown(
            push.ack_id,
            push.type,
            push.sub_type,
            push.server_id,
            push.version,
            push.category,
            push.channel_id,
            signature,
            crt,
            badge,
            root,
            push.post_id,
            text.message(push),
            push.team_id,
            push.sender_id,
            push.sender_name,
            text.channel_name(push),
            push.override_username,
            push.override_icon_url,
            push.from_webhook,
        )
    return _Common(
        push.ack_id,
        push.type,
        push.sub_type,
        push.server_id,
        push.version,
        push.category,
        push.channel_id,
        signature,
        crt,
        badge,
        root,
    )


@lru_cache(maxsize=64)
def _android(ttl: int) -> _Android:
    """Return Google's options for Android; lifetimes are few, so each is made once."""
    return _Android("high", f"{ttl}s")


def _length(value: str) -> int:
    """Return the bytes of a text."""
    return len(value.encode())


def _size(data: _Common) -> int:
    """Return the bytes of the names and values of `data`."""
    return sum(_length(name) + _length(value) for name, value in msgspec.to_builtins(data).items())
