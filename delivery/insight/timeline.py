"""The timeline of one push: what happened to it, step by step, from its row of the log and its receipts."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.utils import timezone

from delivery.insight.catalogue import ENTRIES, Entry
from delivery.insight.durations import lasting
from delivery.insight.summary import capitalised
from delivery.models import Delivery, Receipt
from delivery.outcomes import own
from delivery.outcomes.verdict import ANSWERED, MAYBE, NOT_SENT, Answer, Attempt, Outcome, Retry, Verdict, WireState
from delivery.providers import table
from tenants.providers.table import PROVIDERS, family_of

KINDS: Final = {"OK": "good", "REMOVE": "warn", "FAIL": "bad"}
OK: Final = range(200, 300)
# Codes of our own that come after the queue; all others are said at the door.
BEHIND_THE_QUEUE: Final = frozenset(
    (
        "no_app",
        "app_switched_off",
        "no_credential",
        "credential_unreadable",
        "expired",
        "late_test",
        "lost",
        "internal_error",
    )
)
# Seconds between two attempts from which on the push has waited to be tried again.
PAUSE: Final = 1.0
# Seconds within which most phones have said that they were woken.
SOON: Final = 60
SILENCE: Final = (
    "None comes while the phone is off or without a network, after the app was removed, and where it cannot reach its"
    " Mattermost server, which passes receipts on."
)


class Step(NamedTuple):
    """One step: what happened, how many milliseconds after the push was accepted (None: at no time of its own), and how
    it went (good, warn, bad or quiet, with a label).

    `words` are the provider's own, `note` is what that means, `code` the outcome code that has a page.
    """

    text: str
    after: int | None
    kind: str
    label: str
    words: str = ""
    note: str = ""
    code: str = ""


def of(row: Delivery, receipts: Sequence[Receipt]) -> list[Step]:
    """The steps of a push in the order of time; `receipts` are those of this push."""
    steps = [_came_in(row), *_judged(row), *_attempts(row), _answered(row)]
    return [*steps, *_receipts(row, receipts)]


def family(row: Delivery) -> str:
    """The provider's family that a push was meant for; "" where nothing names one."""
    entry = ENTRIES.get(row.code)
    return row.app.family if row.app is not None else family_of(row.platform) or (entry.provider if entry else "")


def provider(row: Delivery) -> str:
    """The provider of a push, as people call it."""
    found = PROVIDERS.get(family(row))
    return found.name if found else "the provider"


def receipt_of(row: Delivery, receipts: Sequence[Receipt]) -> Receipt | None:
    """The receipt by which a push is delivered: the first that its phone has sent."""
    return min(receipts, key=lambda receipt: receipt.received_at, default=None)


def why_none(row: Delivery, receipts: Sequence[Receipt]) -> str:
    """Why no receipt of a push that was handed off has come; "" where one has, or none is to be expected."""
    if receipts or row.outcome != "sent":
        return ""
    if not row.ack_id:
        return "The push carries no ack id, so that no phone can acknowledge it."
    if (timezone.now() - row.ended_at).total_seconds() < SOON:
        return "None has come yet; most come within seconds."
    found = PROVIDERS.get(family(row))
    return (found.silence if found else "") or SILENCE


def _after(row: Delivery, at: datetime) -> int:
    return max(0, round((at - row.accepted_at).total_seconds() * 1000))


def _came_in(row: Delivery) -> Step:
    named = f"{row.key}{f' ({row.key.name})' if row.key.name else ''}" if row.key is not None else ""
    key = f"with the key {named}" if named else "without a key"
    return Step(f"From {row.server.name}, {key}, {row.size:,} bytes", 0, "good", "Came in")


def _turned_away(row: Delivery) -> bool:
    return not row.attempts and row.code in own.REFUSALS and row.code not in BEHIND_THE_QUEUE


def _judged(row: Delivery) -> list[Step]:
    entry = ENTRIES.get(row.code)
    if entry is not None and _turned_away(row):
        return [Step(f"Turned away: {entry.cause}", _after(row, row.ended_at), "bad", "Turned away", "", entry.advice)]
    steps = [Step("Judged, taken on and put into the queue", None, "good", "Queued")]
    if entry is not None and not row.attempts:
        at = _after(row, row.ended_at)
        steps.append(
            Step(f"Taken out of the queue and not sent: {entry.cause}", at, "bad", "Not sent", "", entry.advice)
        )
    return steps


def _attempts(row: Delivery) -> list[Step]:
    steps: list[Step] = []
    attempts: list[dict[str, Any]] = row.attempts
    verdicts = [_verdict(row, place) for place in range(len(attempts))]
    for place, attempt in enumerate(attempts):
        at = datetime.fromtimestamp(attempt["at"], UTC)
        host = attempt["host"] or provider(row)
        # Without an answer nobody knows that anything has left, and often it surely has not.
        sent = bool(attempt["status"])
        how = _how(verdicts[:place], place, len(attempts), sent=sent)
        kind, label = ("good", "Sent") if sent else ("quiet", "Tried")
        steps.append(Step(f"{how} to {host}", _after(row, at), kind, label))
        ended = datetime.fromtimestamp(attempt["at"] + attempt["ms"] / 1000, UTC)
        result = _result(attempt, verdicts[place], host, _after(row, ended))
        if place + 1 < len(attempts):
            result = _tried_again(result, attempts[place + 1]["at"] - ended.timestamp())
        steps.append(result)
    if row.outcome == Outcome.EXPIRED.value and attempts:
        took = lasting(_after(row, row.ended_at))
        text = f"Given up {took} after it came in: it would come too late to be of use"
        steps.append(Step(text, _after(row, row.ended_at), "bad", "Expired"))
    return steps


def _tried_again(failed: Step, pause: float) -> Step:
    """What came of an attempt, with the seconds after which the next one was made where that was a pause."""
    if pause < PAUSE:
        return failed
    return failed._replace(note=f"{failed.note} Tried again {lasting(pause * 1000)} later.".strip())


def _how(before: Sequence[Verdict], place: int, count: int, *, sent: bool) -> str:
    """How an attempt came about, after those before it."""
    if not place:
        first = "taken up and sent" if sent else "tried to send it"
        return capitalised(first) if count == 1 else f"Attempt 1 of {count}: {first}"
    head, last = f"Attempt {place + 1} of {count}: {'sent' if sent else 'tried'}", before[-1]
    renewed = sum(verdict.retry is Retry.RENEW for verdict in before)
    if last.retry is Retry.RENEW and renewed == 1:
        return f"{head} once more, with a new token,"
    if last.is_key_fault:
        return f"{head} with the app's other credential, because this one was refused,"
    return f"{head} once more"


def _result(attempt: dict[str, Any], verdict: Verdict, host: str, after: int) -> Step:
    status, reason, detail = attempt["status"], attempt.get("reason", ""), attempt.get("detail", "")
    took = f"after {attempt['ms']:,} ms"
    if status in OK:
        return Step(f"{host} took it {took}", after, "good", "Handed off", f"{status} {reason}".strip())
    entry = ENTRIES.get(verdict.code)
    meaning = f"{entry.title}." if entry else ""
    note = f"{meaning} {detail}".strip()
    if status:
        # A reason of ours tells two meanings of one word apart behind a slash.
        words = f"{status} {reason.partition('/')[0]}".strip()
        return Step(f"{host} refused it {took}", after, "bad", "Refused", words, note, verdict.code)
    return Step(f"No answer came from {host}, given up {took}", after, "bad", "No answer", reason, note, verdict.code)


def _verdict(row: Delivery, place: int) -> Verdict:
    """What an attempt was judged to mean: the last one by what has come of the push, which it has decided."""
    known = table.verdict_of(row.code) if place == len(row.attempts) - 1 else None
    if known is not None:
        return known
    logged = row.attempts[place]
    # Whether it had left is not logged; what was tried again mostly had not.
    wires: tuple[WireState, ...] = (ANSWERED,) if logged["status"] else (NOT_SENT, MAYBE)
    reason, detail = logged.get("reason", ""), logged.get("detail", "")
    host, status, at, ms = logged["host"], logged["status"], logged["at"], logged["ms"]
    found = (table.judge(Attempt(family(row), host, status, reason, wire, at, ms, detail=detail)) for wire in wires)
    return next((verdict for verdict in found if verdict is not own.UNKNOWN_FAULT), own.UNKNOWN_FAULT)


def _answered(row: Delivery) -> Step:
    after, kind = _after(row, row.ended_at), KINDS.get(row.answer, "quiet")
    entry: Entry | None = ENTRIES.get(row.code)
    note = {
        Answer.REMOVE.name: "The server sends nothing more to this device until the app registers anew.",
        Answer.FAIL.name: "The text stands in the server's log. Mattermost does not send the push again.",
    }.get(row.answer, "")
    code = "" if row.answer == Answer.OK.name else row.code if entry else ""
    if after > settings.PUSH_DEADLINE * 1000 and row.type != "test" and not _turned_away(row):
        why = ": the push stood safely in the queue" if row.answer == Answer.OK.name else ""
        text = f"The server had been told {row.answer} after {settings.PUSH_DEADLINE:g} s{why}"
        return Step(f"{text}. Its end came later", after, kind, row.answer, "", "" if why else note, code)
    return Step(f"The server was told {row.answer}", after, kind, row.answer, "", note, code)


def _by_its_clock(row: Delivery, at: datetime) -> str:
    milliseconds = (at - row.accepted_at).total_seconds() * 1000
    return f"by its own clock {lasting(abs(milliseconds))} {'after' if milliseconds >= 0 else 'before'} it came in"


def _receipts(row: Delivery, receipts: Sequence[Receipt]) -> list[Step]:
    steps = []
    for place, receipt in enumerate(sorted(receipts, key=lambda receipt: receipt.received_at)):
        phone = f", {_by_its_clock(row, receipt.phone_at)}" if receipt.phone_at else ""
        text = "The phone acknowledged it once more" if place else "The phone acknowledged it"
        label = "Again" if place else "Delivered"
        kind = "quiet" if place else "good"
        steps.append(Step(f"{text}{phone}", _after(row, receipt.received_at), kind, label))
    none = why_none(row, receipts)
    if none:
        steps.append(Step("No receipt from the phone", None, "quiet", "No receipt", "", none))
    return steps
