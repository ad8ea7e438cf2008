"""End-to-end check of a first push: sent as a Mattermost server sends it, and looked for at the sandbox's phone."""

import json
import secrets

from hpns.local.ask import request
from hpns.local.problem import ProblemError

# An APNs device token is 32 bytes in hexadecimal. This one is nobody's.
DEVICE = "5a" * 32


def push(message: str) -> dict[str, object]:
    """A push of a channel post to the sandbox's iPhone, in the fields that a Mattermost server sends."""
    return {
        "platform": "apple_rn-v2",
        "device_id": DEVICE,
        "server_id": "demo",
        "type": "message",
        "version": "v2",
        "ack_id": secrets.token_hex(13),
        "post_id": secrets.token_hex(13),
        "channel_id": "demo-town-square",
        "channel_name": "Town Square",
        "sender_id": "demo-alice",
        "sender_name": "alice",
        "message": message,
        "category": "CAN_REPLY",
        "badge": 1,
    }


def send(port: int, key: str, page_port: int) -> str:
    """Send it through the web server on `port`; returns a line on the result.

    Raises ProblemError when the answer is not OK or the sandbox (its API on `page_port`) did not see the push.
    """
    _, before = request("GET", page_port, "/api/requests?most=1")
    since = before.get("last", 0) if isinstance(before, dict) else 0
    body = push("alice: Hello from your push service")
    status, answer = request("POST", port, f"/t/{key}/api/v1/send_push", json.dumps(body), seconds=15)
    if status != 200 or not isinstance(answer, dict) or answer.get("status") != "OK":
        raise ProblemError(f"The first push was not delivered: the service answered {status} {answer}.")
    _, seen = request("GET", page_port, f"/api/requests?since={since}&provider=apns&count=1&wait=5")
    found = seen.get("requests", []) if isinstance(seen, dict) else []
    if not any(str(body["ack_id"]) in json.dumps(entry) for entry in found):
        raise ProblemError(f"The service answered OK to the first push, but the sandbox has not seen it: {seen}")
    return "The first push went through the front door, the queue and a worker to the sandbox's iPhone."
