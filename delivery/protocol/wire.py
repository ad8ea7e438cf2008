"""What travels on the wire between a Mattermost server and us: pushes, acks and answers. Pure: no framework, no I/O.

The member names, their types and the decoding rules are those of the reference push proxy, which decodes with Go's
encoding/json (https://pkg.go.dev/encoding/json#Unmarshal) into
https://github.com/mattermost/mattermost-push-proxy/blob/master/server/push_notification.go.

Two decoders give the same result. The quick one (msgspec) takes exactly what a Mattermost server sends and refuses all
the rest: unknown members, members in another case, null, numbers beyond 64 bits, invalid UTF-8, text after the object.
Whatever it refuses goes to delivery.protocol.go_json, which alone decides that a body is malformed.

Invariant: no push leaves this module with a lone surrogate or an integer beyond 64 bits, so everything can be encoded.
"""

from typing import Annotated

import msgspec

from delivery.protocol.go_json import INT64_MAX, INT64_MIN, Malformed, decode

__all__ = ["OK_BODY", "REMOVE_BODY", "Ack", "Malformed", "Push", "decode_ack", "decode_push", "fail_body"]

Int64 = Annotated[int, msgspec.Meta(ge=INT64_MIN, le=INT64_MAX)]


class Push(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """One push as a Mattermost server sends it (model.PushNotification); absent members are zero values."""

    ack_id: str = ""
    platform: str = ""
    server_id: str = ""
    device_id: str = ""
    post_id: str = ""
    category: str = ""
    sound: str = ""
    message: str = ""
    badge: Int64 = 0
    cont_ava: Int64 = 0
    team_id: str = ""
    channel_id: str = ""
    root_id: str = ""
    channel_name: str = ""
    type: str = ""
    sub_type: str = ""
    transport: str = ""
    sender_id: str = ""
    sender_name: str = ""
    override_username: str = ""
    override_icon_url: str = ""
    from_webhook: str = ""
    version: str = ""
    is_crt_enabled: bool = False
    is_id_loaded: bool = False
    signature: str = ""


class Ack(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A phone's acknowledgement, forwarded by its server (model.PushNotificationAck)."""

    id: str = ""
    received_at: Int64 = 0
    platform: str = ""
    type: str = ""
    post_id: str = ""
    is_id_loaded: bool = False


OK_BODY = b'{"status":"OK"}'
REMOVE_BODY = b'{"status":"REMOVE"}'

_quick_push = msgspec.json.Decoder(Push).decode
_quick_ack = msgspec.json.Decoder(Ack).decode
_encode = msgspec.json.Encoder().encode


def _members(struct: type[msgspec.Struct]) -> dict[str, type]:
    """Return the member names of a struct with str, int or bool for each."""
    plain: dict[str, type] = {}
    for field in msgspec.structs.fields(struct):
        plain[field.name] = int if field.type is Int64 else field.type
    return plain


_PUSH_MEMBERS = _members(Push)
_ACK_MEMBERS = _members(Ack)


def decode_push(body: bytes) -> tuple[Push, bytes]:
    """Return the push in `body`, and it as JSON that the quick decoder takes: `body` itself, or the push encoded anew.

    Raises Malformed. The second part is for passing the push on without encoding it again.
    """
    try:
        return _quick_push(body), body
    except (msgspec.MsgspecError, ValueError):  # ValueError: invalid UTF-8
        push = Push(**decode(body, _PUSH_MEMBERS))  # type: ignore[arg-type]  # decode checked each against its type
        return push, _encode(push)


def encode_push(push: Push) -> bytes:
    """Return a push as the JSON that the quick decoder takes."""
    return _encode(push)


def decode_ack(body: bytes) -> Ack:
    """Return the ack in `body`; raises Malformed."""
    try:
        return _quick_ack(body)
    except (msgspec.MsgspecError, ValueError):  # ValueError: invalid UTF-8
        return Ack(**decode(body, _ACK_MEMBERS))  # type: ignore[arg-type]  # decode checked each against its type


def fail_body(text: str) -> bytes:
    """Return the answer that puts `text` into the customer's server log.

    The object is flat and holds strings only: Mattermost reads it into a map[string]string, and any other type makes
    the whole answer unreadable to it.
    """
    return _encode({"status": "FAIL", "error": text})
