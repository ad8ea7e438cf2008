"""The body of an APNs request, as Mattermost's iOS app reads it. Pure.

Which members a body has follows the reference proxy
(https://github.com/mattermost/mattermost-push-proxy/blob/master/server/apple_notification_server.go) and the form of
`aps` Apple's page (https://developer.apple.com/documentation/usernotifications/generating-a-remote-notification).
Beyond the reference: emoji as the apps know them, a text cut so that the body fits, and a session wipe that is silent.

Invariant: ids and the signature leave byte for byte as they came; only the message is ever shortened, and before it
what adorns it (text.without_ornaments).
"""

from typing import Final, Literal

import msgspec

from delivery.protocol import policy
from delivery.protocol.wire import Push
from delivery.providers import text
from delivery.providers.base import TooLargeError

LIMIT: Final = 4096
"""Bytes that Apple takes in a body
(https://developer.apple.com/documentation/usernotifications/generating-a-remote-notification)."""

CALL_LIMIT: Final = 5120
"""The same for a call, which has no text that could be shortened."""

NO_SIGNATURE: Final = "NO_SIGNATURE"

PushType = Literal["alert", "voip"]


class _Alert(msgspec.Struct, gc=False, omit_defaults=True):
    body: str = ""
    title: str = ""


class _Aps(msgspec.Struct, gc=False, omit_defaults=True, rename="kebab"):
    alert: _Alert | str | None = None
    badge: int = -1
    category: str = ""
    content_available: int = 0
    mutable_content: int = 0
    sound: str = ""
    thread_id: str = ""


class _Standard(msgspec.Struct, gc=False, omit_defaults=True):
    aps: _Aps
    is_crt_enabled: bool
    server_id: str
    signature: str
    sub_type: str
    type: str
    ack_id: str = ""
    post_id: str = ""
    channel_id: str = ""
    channel_name: str = ""
    team_id: str = ""
    root_id: str = ""
    sender_id: str = ""
    sender_name: str = ""
    override_username: str = ""
    override_icon_url: str = ""
    from_webhook: str = ""
    version: str | msgspec.UnsetType = msgspec.UNSET
    id_loaded: bool = False


class _Call(msgspec.Struct, gc=False, omit_defaults=True):
    aps: _Aps
    channel_id: str
    id_loaded: bool
    post_id: str
    sender_id: str
    server_id: str
    signature: str
    sub_type: str
    thread_id: str
    type: str
    ack_id: str = ""
    channel_name: str = ""
    sender_name: str = ""


_WAKING: Final = frozenset(("clear", "test"))
"""Of the types without an alert, those for which the app is woken; a badge changes without it."""

_encode = msgspec.json.Encoder().encode
_CALL_APS: Final = _Aps(content_available=1)


def push_type(push: Push) -> PushType:
    """Return the apns-push-type.

    Silent pushes are "alert" too, as the reference sends them: "background" would let iOS put off the clears.
    """
    return "voip" if push.transport == "voip" else "alert"


def topic(push: Push, bundle_id: str) -> str:
    """Return the apns-topic: the app's bundle id, with Apple's suffix for calls."""
    return f"{bundle_id}.voip" if push.transport == "voip" else bundle_id


def body(push: Push, app_version: int) -> bytes:
    """Return the JSON body for a push to an app of this version (the number behind "-v" of its platform).

    A body too long for Apple loses what only adorns it, and then gets a shorter message, with an ellipsis. Raises
    TooLargeError if it is too long even without one: nothing else is ours to cut.
    """
    if push.transport == "voip":
        encoded = _encode(_call(push))
        if len(encoded) > CALL_LIMIT:
            for lean in text.without_ornaments(push):
                encoded = _encode(_call(lean))
            if len(encoded) > CALL_LIMIT:
                raise TooLargeError(f"{len(encoded)} bytes of {CALL_LIMIT}")
        return encoded
    message = text.message(push)
    encoded = _encode(_standard(push, app_version, message))
    return encoded if len(encoded) <= LIMIT else _fitted(push, app_version, message, encoded)


def _fitted(push: Push, app_version: int, message: str, encoded: bytes) -> bytes:
    """Return the body of a push that is too long as it is."""
    for lean in text.without_ornaments(push):
        push = lean
        encoded = _encode(_standard(push, app_version, message))
        if len(encoded) <= LIMIT:
            return encoded
    if message:
        room = _size(message) - (len(encoded) - LIMIT)
        encoded = _encode(_standard(push, app_version, text.shorten(message, room, _size)))
    if len(encoded) > LIMIT:
        raise TooLargeError(f"{len(encoded)} bytes of {LIMIT}")
    return encoded


def _size(message: str) -> int:
    """Return the bytes that a text takes inside a JSON string."""
    return len(_encode(message)) - 2


def _badge(push: Push, app_version: int) -> int:
    """Return the number on the app's icon, -1 for "leave it".

    Apps from version 2 on take 0 on a clear for "remove every notification", so there the reference says 1.
    """
    if push.badge == 0 and push.type == "clear" and app_version > 1:
        return 1
    return push.badge


def _standard(push: Push, app_version: int, message: str) -> _Standard:
    """Return the body of anything but a call, with `message` for its text."""
    kind = push.type
    channel = push.channel_id
    thread = policy.thread_of(push)
    name = ""
    version: str | msgspec.UnsetType = push.version
    if push.is_id_loaded:
        aps = _Aps(_Alert(message), _badge(push, app_version), push.category, 1, 1, "default", thread)
    elif kind == "message":
        name = text.channel_name(push)
        aps = _Aps(_alert(message, name, push.version), push.badge, push.category, 1, 1, "default", thread)
    elif kind == "session":
        name = text.channel_name(push)
        if policy.is_wipe(push):
            aps = _Aps(None, push.badge, content_available=1)
        else:
            aps = _Aps(_alert(message, name, push.version), push.badge, mutable_content=1, sound="default")
    else:
        version = msgspec.UNSET
        wakes = 1 if kind in _WAKING else 0
        aps = _Aps(None, _badge(push, app_version), content_available=wakes, thread_id=thread)
    return _Standard(
        aps,
        push.is_crt_enabled,
        push.server_id,
        push.signature or NO_SIGNATURE,
        push.sub_type,
        kind,
        push.ack_id,
        push.post_id,
        channel,
        name,
        push.team_id,
        push.root_id,
        push.sender_id,
        push.sender_name,
        push.override_username,
        push.override_icon_url,
        push.from_webhook,
        version,
        push.is_id_loaded,
    )


def _alert(message: str, name: str, version: str) -> _Alert | str:
    """Return the alert: with the channel for its title where the app is of the version that takes one."""
    return _Alert(message, name) if name and version == "v2" else message


def _call(push: Push) -> _Call:
    """Return the body of a call: the thread has a name of its own, and there is no text."""
    return _Call(
        _CALL_APS,
        push.channel_id,
        push.is_id_loaded,
        push.post_id,
        push.sender_id,
        push.server_id,
        push.signature or NO_SIGNATURE,
        push.sub_type,
        push.root_id,
        push.type,
        push.ack_id,
        text.channel_name(push),
        push.sender_name,
    )
