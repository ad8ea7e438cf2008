"""Routing label, expiry and collapse id of a push, derived from the push alone.

Pure: no framework, no I/O, no clock. Invariant: the same push always gets the same answers, in every process, so that
a repeat after a crash is the same notification to Apple and to the phone (a push without an ack_id has no such name).
"""

import re
import uuid
from functools import lru_cache
from hashlib import sha1, sha256

import msgspec

from delivery.protocol.wire import Push

WEEK = 7 * 24 * 3600
VOIP_LIFETIME = 60
TEST_LIFETIME = 300

LONGEST_PLATFORM = 200
"""Characters of a platform that are worth remembering: a label has 64 at most, its version mark 102."""

COLLAPSE_ID_LIMIT = 64
"""Bytes that Apple takes in apns-collapse-id
(https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns)."""

_version = re.compile(r"[+-]?[0-9]+", re.ASCII).fullmatch
_PUSH_NAMESPACE = uuid.UUID("5f0d1c39-3a0e-4b6e-9d0a-6d4a5c1f7e21").bytes
# Begun once and copied per push: OpenSSL looks the algorithm up anew for each hash that is made from nothing, which
# under load is the dearest part of a push_id.
_named = sha1(_PUSH_NAMESPACE, usedforsecurity=False)
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


NO_TEXT = "You've received a new message."
"""What Mattermost itself writes where it leaves a message's text out."""


def without_text(push: Push, content: str) -> Push:
    """Return the push without what people wrote, or are called; `content` is "generic" or "id_only".

    id_only also asks the app to fetch the text from its server, where that can be: for the post of a message that the
    server wants to hear of (its ack_id); the server needs a licence with ID-only pushes for that, as with its own
    setting of this name. A session's push keeps its text, which is the server's and says why the phone is logged out.
    """
    if push.type == "session":
        return push
    fetched = content == "id_only" and push.type == "message" and push.post_id and push.ack_id and not push.sub_type
    return msgspec.structs.replace(
        push,
        message=NO_TEXT if push.message else "",
        # A call must ring for somebody.
        sender_name="Someone" if push.sub_type == "calls" else "",
        channel_name="",
        override_username="",
        override_icon_url="",
        is_id_loaded=bool(fetched) or push.is_id_loaded,
    )


def app_label(platform: str) -> tuple[str, int]:
    """Return the app's label and the version of its payload handling: "apple_rn-v2" is ("apple_rn", 2).

    The platform is cut at the first "-v". A version that cannot be read, or that has more than 64 bits, counts as 1 and
    the push is sent all the same, as the reference proxy does; so does a missing one. Cached: servers know a handful.
    """
    # Strangers choose the platform, up to the size of a body: what no app can be called must not fill the memory.
    return _split(platform) if len(platform) <= LONGEST_PLATFORM else _split.__wrapped__(platform)


@lru_cache(maxsize=512)
def _split(platform: str) -> tuple[str, int]:
    label, mark, version = platform.partition("-v")
    if mark and len(version) <= 100 and _version(version):
        number = int(version)
        if -(2**63) <= number < 2**63:
            return label, number
    return label, 1


def is_voip(push: Push) -> bool:
    """Tell whether a push is a call for PushKit (https://developer.apple.com/documentation/pushkit).

    Only the exact word counts. Android has no such transport: there a call is an ordinary message. A label of neither
    family is taken for Apple's, since only Mattermost's iOS apps have a VoIP token to send to.
    """
    return push.transport == "voip" and not push.platform.startswith("android")


def is_wipe(push: Push) -> bool:
    """Tell whether a push is the order to wipe a revoked session's data: one to wake the app, with nothing to show.

    The other push of the type `session` says in words that a session has expired.
    """
    return push.type == "session" and push.cont_ava == 1 and not push.message and not push.is_id_loaded


def is_urgent(push: Push) -> bool:
    """Tell whether a push goes ahead of others where some have to wait.

    A call rings for somebody who hangs up soon, of a test somebody waits for the answer, and what ends a session wipes
    a phone that may be in wrong hands.
    """
    return push.type in ("session", "test") or push.sub_type == "calls" or is_voip(push)


def lifetime(push: Push) -> int:
    """Return for how many seconds a push is worth delivering to a phone that is off (apns-expiration, FCM ttl).

    A call that rings after a minute rings for nobody. A test is looked at by someone who waits; 0 would mean "now or
    never" to Apple and lose it to a phone that is just changing networks, so it gets five minutes. All the rest counts
    for a week: a message is news until read, and a clear, a badge or a wipe must reach a phone that was off for days.
    """
    if push.transport == "voip" and is_voip(push):
        return VOIP_LIFETIME
    if push.type == "test":
        return TEST_LIFETIME
    return WEEK


def thread_of(push: Push) -> str:
    """Return the id of a push's conversation: its thread where threads are collapsed (CRT), else its channel.

    Without a channel there is none, whatever the thread, as in the reference proxy.
    """
    channel = push.channel_id
    return push.root_id if channel and push.is_crt_enabled and push.root_id else channel


def collapse_id(push: Push) -> str:
    """Return the apns-collapse-id, "" for none: of two notifications with one id, the phone keeps the later.

    A clear replaces the clears of its own channel or thread, and a badge update the badge updates of its own server:
    only the last is true. Everything else is named by its ack_id and post, so a repeat replaces itself and never
    another post. A push without ack_id has no such name, and calls are never merged: PushKit wants each to ring.

    For Apple alone. FCM keeps four collapse keys per phone and does not say which
    (https://firebase.google.com/docs/cloud-messaging/concept-options#collapsible_and_non-collapsible_messages), so a
    key per post would lose messages there.
    """
    if push.transport == "voip" and is_voip(push):
        return ""
    if push.type == "clear" and (thread := thread_of(push)):
        name = f"clear:{push.server_id}:{thread}"
    elif push.type == "update_badge":
        name = f"badge:{push.server_id}"
    elif push.ack_id:
        name = f"{push.ack_id}:{push.post_id}"
    else:
        return ""
    if name.isascii() and name.isprintable() and len(name) <= COLLAPSE_ID_LIMIT:
        return name
    return sha256(name.encode()).hexdigest()  # 64 characters; an id of a stranger's making must not break a header


def push_id(server_id: int, push: Push) -> str:
    """Return the apns-id of a push: one UUIDv5 (RFC 9562) per (our server id, device, ack_id, type), in lower case.

    Written out by hand: uuid.uuid5 costs several times as much. A push without ack_id gets a random UUIDv4.
    """
    if not push.ack_id:
        return str(uuid.uuid4())
    hashed = _named.copy()
    hashed.update(f"{server_id}\0{push.device_id}\0{push.ack_id}\0{push.type}".encode())
    text = hashed.hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"
