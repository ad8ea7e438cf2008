"""The timeline of one push: its steps with their times, from its row of the delivery log."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from delivery.models import Delivery

KINDS = {"OK": "good", "REMOVE": "warn", "FAIL": "bad"}


class Step(NamedTuple):
    """One step: what happened, how many milliseconds after the push was accepted, and how it went (good, warn, bad or
    quiet, with a label)."""

    text: str
    after: int
    kind: str
    label: str


def of(row: Delivery) -> list[Step]:
    """The steps of a push in the order of time."""

    def step(text: str, at: datetime, kind: str, label: str) -> Step:
        return Step(text, max(0, round((at - row.accepted_at).total_seconds() * 1000)), kind, label)

    steps = [step("Accepted from the server and put into the queue", row.accepted_at, "good", "Accepted")]
    attempts: list[dict[str, Any]] = row.attempts
    for attempt in attempts:
        at = datetime.fromtimestamp(attempt["at"], UTC)
        host = attempt["host"] or "the provider"
        steps.append(step(f"Taken by a worker and sent to {host}", at, "good", "Sent"))
        after = datetime.fromtimestamp(attempt["at"] + attempt["ms"] / 1000, UTC)
        status, reason = attempt["status"], attempt.get("reason", "")
        if status:
            good = 200 <= status < 300
            text = f"{host} answered {status}{f' {reason}' if reason else ''}"
            steps.append(step(text, after, "good" if good else "bad", "Taken" if good else "Refused"))
        else:
            steps.append(step(f"No answer came from {host} ({reason})", after, "bad", "No answer"))
    answer = f"The server was told {row.answer}"
    if row.answer != "OK":
        answer += f" ({row.code})"
    steps.append(step(answer, row.ended_at, KINDS.get(row.answer, "quiet"), row.answer))
    return steps
