"""Delivery receipts: a phone acknowledges, through its server, that it has shown a push.

Answered before anything is done with it, because the phone waits for the answer before it shows the notification.
"""

from typing import Final

from delivery.metrics import counting
from delivery.protocol import wire

BODY_LIMIT: Final = 4_096
"""Bytes of a request to ack; Mattermost's have some 200. They cost no token, so they must cost little else."""


def accept(body: bytes) -> str:
    """Take the body of a request to ack; returns "" or the code of its FAIL. Never waits."""
    try:
        ack = wire.decode_ack(body)
    except wire.Malformed:
        return "malformed"
    for member in ("id", "platform", "type"):  # in the order of the reference proxy
        if not getattr(ack, member):
            return f"missing_ack_{member}"
    counting.receipt(ack)
    return ""
