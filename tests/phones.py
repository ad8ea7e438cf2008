"""Phones that acknowledge what they got, as Mattermost's app does through its server, and what became of that.

The app reads `ack_id` and `type` out of the notification and posts them to its server, which forwards them at once.
"""

import json
import time
from typing import Any

import psycopg

from delivery.protocol import mattermost_id
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for


def ack(stage: Stage, ack_id: str, *, key: str = "", **members: Any) -> dict[str, str]:
    """Send one ack as a Mattermost server does, under a key, Acme's by default; the answer."""
    now = int(time.time() * 1000)
    usual = {
        "id": ack_id,
        "received_at": now,
        "platform": "ios",
        "type": "message",
        "post_id": "",
        "is_id_loaded": False,
    }
    body = json.dumps({**usual, **members}).encode()
    status, answer = stage.post(f"/t/{key or stage.key}/api/v1/ack", body)
    assert status == 200, answer
    found: dict[str, str] = json.loads(answer)
    return found


def acknowledge(stage: Stage, device: str, *, key: str = "") -> str:
    """A phone acknowledges the last push that Apple or Google got for it; returns the ack_id."""
    payload = stage.sandbox.requests(device)[-1]["json"]
    is_android = "message" in payload
    data = payload["message"]["data"] if is_android else payload
    platform = "android" if is_android else "ios"
    assert ack(stage, data["ack_id"], key=key, platform=platform, type=data["type"]) == {"status": "OK"}
    return str(data["ack_id"])


def receipt(stage: Stage, ack_id: str) -> dict[str, Any]:
    """The receipt of the push with this ack_id, once it is joined with it."""

    def found() -> dict[str, Any] | None:
        with psycopg.connect(stage.postgres.url, row_factory=psycopg.rows.dict_row) as connection:
            query = "SELECT * FROM delivery_receipt WHERE ack_id = %s AND trace IS NOT NULL"
            return connection.execute(query, [mattermost_id.pack(ack_id)]).fetchone()

    return wait_for(found, PATIENCE, "the receipt is joined with its push")


def acked_in_minute_of(stage: Stage, receipt: dict[str, Any]) -> int:
    """How many pushes of the minute of this receipt's push are counted as acknowledged, of its customer."""
    with psycopg.connect(stage.postgres.url) as connection:
        query = (
            "SELECT sum(acked)::int FROM delivery_minute_now WHERE grain = 1 AND at = date_trunc('minute', %s) "
            "AND customer_id = %s"
        )
        (count,) = connection.execute(query, [receipt["push_at"], receipt["customer_id"]]).fetchone() or (None,)
        return count or 0
