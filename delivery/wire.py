"""What travels on the wire between a Mattermost server and us: pushes, acks and answers. Pure: no framework, no I/O.

The member names, their types and the decoding rules are those of the reference push proxy, which decodes with Go's
encoding/json (https://pkg.go.dev/encoding/json#Unmarshal) into
https://github.com/mattermost/mattermost-push-proxy/blob/master/server/push_notification.go.
"""

import msgspec


class Push(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """One push notification as a Mattermost server sends it (model.PushNotification); absent members are zero values."""

    ack_id: str = ""
    platform: str = ""
    server_id: str = ""
    device_id: str = ""
    post_id: str = ""
    category: str = ""
    sound: str = ""
    message: str = ""
    badge: int = 0
    cont_ava: int = 0
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
    received_at: int = 0
    platform: str = ""
    type: str = ""
    post_id: str = ""
    is_id_loaded: bool = False


class Malformed(ValueError):
    """A body that is not a push or an ack; the text says what is wrong with it, without quoting it."""
