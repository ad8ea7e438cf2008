"""What is written down of a load while things are killed: what servers were told, what came over the wire, the rows.

Pure data. A push is known by its ack_id, which no two pushes of a run share. Times are unix seconds of this machine.
"""

import json
from pathlib import Path
from typing import Any, Final

import msgspec

from delivery.sandbox.answers import Answer
from delivery.sandbox.phone import delivered

NO_ANSWER: Final = ""
"""The status of a push whose connection broke, or that waited as long as a server waits."""
UNREACHED: Final = "unreached"
"""The status of a push that nobody listened for."""
RESET: Final = "reset"
"""The status of a push whose connection ended before a byte of an answer: perhaps nobody had accepted it, or it was
idle, and was closed while the push was under way to it."""
GONE: Final = "dead0410"
"""What a phone's token begins with whose provider says that it is gone."""
_SHOWN_ON_ANDROID: Final = ("message", "session")
_SILENT_ON_IPHONE: Final = ("clear", "update_badge")


class Told(msgspec.Struct, gc=False):
    """One push, and what its server was told: OK, FAIL, REMOVE, NO_ANSWER, UNREACHED or RESET; `code` of a
    FAIL.

    gone: whether its phone is one that the provider calls gone; seconds: until the answer, or until there was none.
    """

    ack_id: str
    customer: str
    kind: str
    at: float
    gone: bool = False
    status: str = NO_ANSWER
    code: str = ""
    seconds: float = 0.0


class OnWire(msgspec.Struct, gc=False):
    """One request that a provider got for a push.

    apns_id: Apple's name of it; shown: whether a phone shows it or rings; place: whose place it takes on the phone, ""
    for nobody's; delivered: whether the provider said yes, and whole.
    """

    ack_id: str
    at: float
    apns_id: str
    shown: bool
    place: str
    delivered: bool


class Row(msgspec.Struct, gc=False):
    """One row of the delivery log; `count` pushes share it."""

    ack_id: str
    outcome: str
    code: str
    answer: str
    count: int = 1
    seconds: float = 0.0


class Record(msgspec.Struct):
    """All that is known of one load."""

    told: dict[str, Told] = {}
    wire: list[OnWire] = []
    rows: list[Row] = []
    recovered: float | None = None  # seconds from the last fault's end until all was well; None: never


def on_wire(report: dict[str, Any]) -> OnWire | None:
    """What an entry of the sandbox's journal (Entry.report()) is to a phone; None for what is no push of a server's.

    By the rules of Mattermost's apps, as delivery/sandbox/phone.py has them.
    """
    content = report["json"]
    provider, headers = report["provider"], report["headers"]
    if not isinstance(content, dict) or provider not in ("apns", "fcm"):
        return None
    if provider == "apns":
        ack_id, kind = content.get("ack_id"), content.get("type")
        call = headers.get("apns-push-type") == "voip"
        alert = (content.get("aps") or {}).get("alert")
        shown = call or bool(alert and kind not in _SILENT_ON_IPHONE)
        place = "" if call else headers.get("apns-collapse-id", "")
    else:
        data = (content.get("message") or {}).get("data") or {}
        ack_id, kind = data.get("ack_id"), data.get("type")
        shown = kind in _SHOWN_ON_ANDROID and bool(data.get("message"))
        place = data.get("post_id") or data.get("channel_id") or ""
    if not ack_id:
        return None
    whole = delivered(msgspec.convert(report["answer"], Answer))
    where = f"{report['token']} {place}" if place else ""
    return OnWire(ack_id, report["at"], headers.get("apns-id", ""), shown, where, whole)


def save(record: Record, path: Path) -> None:
    """Keep a record for whoever looks into it; it holds no text of a push."""
    path.write_bytes(msgspec.json.encode(record))


def load(path: Path) -> Record:
    """A record that was kept. Raises msgspec.MsgspecError, OSError."""
    return msgspec.json.decode(path.read_bytes(), type=Record)


def row(found: dict[str, Any]) -> Row:
    """A row as tests/stage.py reads them (Stage.rows())."""
    took = (found["ended_at"] - found["accepted_at"]).total_seconds()
    return Row(found["ack_id"], found["outcome"], found["code"], found["answer"], found["count"], took)


def code_of(body: bytes) -> tuple[str, str]:
    """Status and stable code of an answer. Raises ValueError when it is none."""
    answer = json.loads(body)
    return answer["status"], str(answer.get("error", "")).partition(" ")[0]
