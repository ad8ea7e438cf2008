"""End-to-end check of a first push: sent and signed as a Mattermost server does, and looked for at the phone."""

import json

from hpns.local.ask import request
from hpns.local.mattermost_site import Installation, made_id
from hpns.local.problem import ProblemError

# An APNs device token is 32 bytes in hexadecimal. This one is nobody's.
DEVICE = "5a" * 32


def push(message: str, installation: Installation | None) -> dict[str, object]:
    """A push of a channel post to the sandbox's iPhone, in the fields that a Mattermost server sends, signed by it.

    Without an installation it is unsigned, as an old server's.
    """
    made: dict[str, object] = {
        "platform": "apple_rn-v2",
        "device_id": DEVICE,
        "server_id": "demo",
        "type": "message",
        "version": "v2",
        "ack_id": made_id(),
        "post_id": made_id(),
        "channel_id": "demo-town-square",
        "channel_name": "Town Square",
        "sender_id": "demo-alice",
        "sender_name": "alice",
        "message": message,
        "category": "CAN_REPLY",
        "badge": 1,
    }
    return installation.signed(made) if installation is not None else made


def send(port: int, key: str, page_port: int, installation: Installation, *, tls: bool = False) -> str:
    """Send it through the web server on `port`, by HTTPS if `tls`; returns a line on the result.

    Raises ProblemError when the answer is not OK or the sandbox (its API on `page_port`) did not see the push.
    """
    _, before = request("GET", page_port, "/api/requests?most=1")
    since = before.get("last", 0) if isinstance(before, dict) else 0
    body = push("alice: Hello from your push service", installation)
    status, answer = request("POST", port, f"/t/{key}/api/v1/send_push", json.dumps(body), seconds=15, tls=tls)
    if status != 200 or not isinstance(answer, dict) or answer.get("status") != "OK":
        raise ProblemError(f"The first push was not delivered: the service answered {status} {answer}.")
    _, seen = request("GET", page_port, f"/api/requests?since={since}&provider=apns&count=1&wait=5")
    found = seen.get("requests", []) if isinstance(seen, dict) else []
    if not any(str(body["ack_id"]) in json.dumps(entry) for entry in found):
        raise ProblemError(f"The service answered OK to the first push, but the sandbox has not seen it: {seen}")
    return "The first push went through the whole service to the sandbox's iPhone."
