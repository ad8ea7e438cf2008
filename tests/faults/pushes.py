"""Pushes of the fault tests: several at once, each with its answer and latency."""

import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from tests.stage import ROOT, Stage, a_push
from tests.waiting import PATIENCE, wait_for

TEXT = "the whale sings at nightfall"
"""What every push here says; test_unspoken.py looks for it in the logs."""
DEADLINE = 5.0
"""Seconds within which a waiting server has its answer (PUSH_DEADLINE)."""
GIVEN_UP = DEADLINE + 2.0
"""Seconds until a busy machine has noticed the deadline's answer; who waits for the provider waits ten or for ever."""
PROMPT = 3.5
"""Seconds for a push that nothing holds up, on a machine that is busy with other tests; it takes some milliseconds. One
that something holds up ends at the deadline."""
FOLLOWED = 6.0
"""Seconds for a change that is followed within two, which a busy machine asks about by pushes that take their time."""
CLOCK = """
import time
_true = time.time
def _set():
    with open({file!r}) as file:
        return _true() + float(file.read())
time.time = _set
"""
"""A sitecustomize module with which the clock of a process is set by a file."""


class PushAnswer(NamedTuple):
    """The answer to one push, and its latency in seconds."""

    ack_id: str
    status: str
    error: str
    seconds: float

    @property
    def code(self) -> str:
        """The stable error code that a FAIL begins with; "" for other answers."""
        return self.error.partition(" ")[0]


def iphone(marker: str = "") -> str:
    """A device token of an iPhone that begins with a marker."""
    return marker + secrets.token_hex(32)[len(marker) :]


def android(marker: str = "fine:") -> str:
    """A device token of an Android phone that begins with a marker."""
    return f"{marker}{secrets.token_urlsafe(90)}"


def push(stage: Stage, key: str = "", **members: Any) -> PushAnswer:
    """Push under a server key (default: Acme's) and wait for the answer; by default a message to an iPhone."""
    members.setdefault("ack_id", f"fault-{secrets.token_hex(8)}")
    if "device_id" not in members and str(members.get("platform", "")).startswith("android"):
        members["device_id"] = android()
    body = json.dumps(a_push(**{"message": TEXT, **members})).encode()
    started = time.monotonic()
    status, answer = stage.post(f"/t/{key or stage.key}/api/v1/send_push", body)
    seconds = time.monotonic() - started
    assert status == 200, answer
    decoded = json.loads(answer)
    return PushAnswer(members["ack_id"], decoded["status"], decoded.get("error", ""), seconds)


def at_once(stage: Stage, **pushes: dict[str, Any]) -> dict[str, PushAnswer]:
    """Several pushes at the same time, by name; returns when all have their answers."""
    with ThreadPoolExecutor(len(pushes)) as threads:
        begun = {name: threads.submit(push, stage, **members) for name, members in pushes.items()}
        return {name: future.result() for name, future in begun.items()}


def rows(stage: Stage, answers: dict[str, PushAnswer], seconds: float = PATIENCE) -> dict[str, dict[str, Any]]:
    """The log's rows of these pushes, by name; fails unless each has exactly one."""
    wanted = {push.ack_id: name for name, push in answers.items()}

    def found() -> list[dict[str, Any]]:
        return stage.rows("ack_id = ANY(%s)", list(wanted))

    wait_for(lambda: {row["ack_id"] for row in found()} == set(wanted), seconds, "every push has its row")
    by_name = {wanted[row["ack_id"]]: row for row in found()}
    assert len(found()) == len(by_name), "a push has two rows"
    return by_name


def replace_worker(stage: Stage, *, ahead: float = 0.0, ready: bool = True, **env: str) -> None:
    """Stop the worker and start one with other settings, and with a clock so many seconds ahead of all others.

    That clock can be set by set_worker_clock(). ready: wait until it answers. The usual one is there again in the next
    module (see `service`).
    """
    if "worker" in stage.children:
        stage.stop("worker")
    usual = stage.env
    clock = {"PYTHONPATH": f"{set_worker_clock(stage, ahead)}:{ROOT}"} if ahead else {}
    stage.env = {**usual, **clock, **env}
    try:
        stage.start_worker()
    finally:
        stage.env = usual
    if ready:
        wait_for_worker(stage)


def wait_for_worker(stage: Stage) -> None:
    """Wait until a worker answers: no provider is needed to say that a push has no app."""
    wait_for(lambda: push(stage, platform="nobody's").code == "no_app", PATIENCE, "a worker answers")


def wait_for_changes(stage: Stage) -> None:
    """Wait until the worker knows all that has been changed so far: it does once it knows an app that is added now."""
    label = f"apple_{secrets.token_hex(4)}"
    stage.manage("app", "add", "--customer", "acme", "--label", label, "--topic", "com.example.marker")
    wait_for(lambda: push(stage, platform=f"{label}-v2").code == "no_credential", PATIENCE, "the newest app is known")


def set_worker_clock(stage: Stage, ahead: float) -> Path:
    """Set the clock of a worker that was started with a wrong one; returns the folder for PYTHONPATH that makes it."""
    folder = stage.folder.path / "clock"
    folder.mkdir(exist_ok=True)
    (folder / "new").write_text(f"{ahead!r}")
    (folder / "new").rename(folder / "ahead")
    (folder / "sitecustomize.py").write_text(CLOCK.format(file=str(folder / "ahead")))
    return folder
