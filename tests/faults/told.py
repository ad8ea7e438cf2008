"""Pushes as the tests of faults make them: several at once, each with what its server was told and after how long."""

import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from tests.stage import Stage, wait_for

TEXT = "the whale sings at nightfall"
"""What every push here says; test_unspoken.py looks for it in the logs."""
DEADLINE = 5.0
"""Seconds within which a waiting server has its answer (PUSH_DEADLINE)."""


class Told(NamedTuple):
    """What the server of one push was told, and after how many seconds."""

    ack_id: str
    status: str
    error: str
    seconds: float

    @property
    def code(self) -> str:
        """The stable word that a FAIL begins with; "" for other answers."""
        return self.error.partition(" ")[0]


def iphone(marker: str = "") -> str:
    """A device token of an iPhone that begins with a marker."""
    return marker + secrets.token_hex(32)[len(marker) :]


def android(marker: str = "fine:") -> str:
    """A device token of an Android phone that begins with a marker."""
    return f"{marker}{secrets.token_urlsafe(90)}"


def push(stage: Stage, **members: Any) -> Told:
    """Push under Acme's key and wait for the answer; by default an ordinary message to an iPhone."""
    members.setdefault("ack_id", f"fault-{secrets.token_hex(8)}")
    if "device_id" not in members and str(members.get("platform", "")).startswith("android"):
        members["device_id"] = android()
    started = time.monotonic()
    answer = stage.push(**{"message": TEXT, **members})
    return Told(members["ack_id"], answer["status"], answer.get("error", ""), time.monotonic() - started)


def at_once(stage: Stage, **pushes: dict[str, Any]) -> dict[str, Told]:
    """Several pushes at the same time, by name; returns when all have their answers."""
    with ThreadPoolExecutor(len(pushes)) as threads:
        begun = {name: threads.submit(push, stage, **members) for name, members in pushes.items()}
        return {name: future.result() for name, future in begun.items()}


def rows(stage: Stage, told: dict[str, Told], seconds: float = 15) -> dict[str, dict[str, Any]]:
    """The log's rows of these pushes, by name; fails unless each has exactly one."""
    wanted = {push.ack_id: name for name, push in told.items()}

    def found() -> list[dict[str, Any]]:
        return stage.rows("ack_id = ANY(%s)", list(wanted))

    wait_for(lambda: {row["ack_id"] for row in found()} == set(wanted), seconds, "every push has its row")
    by_name = {wanted[row["ack_id"]]: row for row in found()}
    assert len(found()) == len(by_name), "a push has two rows"
    return by_name
