"""What the pages of single pushes say: the outcome in words, and pushes as rows of a table."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from django.urls import NoReverseMatch, reverse

from delivery.insight import pushes, timeline
from delivery.insight.catalogue import ENTRIES, whose
from delivery.insight.delays import who_held
from delivery.insight.durations import lasting
from delivery.insight.pushes import Split
from delivery.models import Delivery, Receipt
from delivery.outcomes.verdict import Outcome
from delivery.pages.filter_bar import TYPE_LABELS

COLUMNS: Final = tuple(
    {"label": label, "word": label == "Type"}
    for label in ("Came", "Server", "Platform", "Type", "Device", "What became of it", "Push")
)
# Letters of a fingerprint that tell the devices of a list apart.
DEVICE_SHOWN: Final = 8
SENT: Final = Outcome.SENT.value
WORDS: Final = {
    Outcome.SENT.value: "handed off",
    Outcome.GONE.value: "device gone",
    Outcome.REFUSED.value: "refused",
    Outcome.UNKNOWN.value: "end unknown",
    Outcome.FAILED.value: "failed",
    Outcome.EXPIRED.value: "expired",
    Outcome.LOST.value: "lost",
}
KINDS: Final = {SENT: "good", Outcome.GONE.value: "warn"}


def address(name: str, *args: object) -> str:
    """The address of a page; "" where there is none, such as one for the trace of another form."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


def answer(push: Delivery, receipts: Sequence[Receipt]) -> str:
    """What became of a push, in one or two sentences, and who held it if it came late."""
    return f"{_became(push, receipts)} {who_held(push, receipts)}".strip()


def _became(push: Delivery, receipts: Sequence[Receipt]) -> str:
    took = lasting((push.ended_at - push.accepted_at).total_seconds() * 1000)
    entry, name = ENTRIES.get(push.code), timeline.provider(push)
    receipt = timeline.receipt_of(push, receipts)
    if receipt is not None:
        seconds = (receipt.received_at - push.accepted_at).total_seconds()
        return f"Delivered: the phone acknowledged it {lasting(max(0.0, seconds) * 1000)} after it came in."
    if push.outcome == SENT:
        return f"Handed off: {name} took it {took} after it came in. No receipt from the phone has come."
    head = {"gone": "Not handed off", "unknown": "It is not known whether it was handed off"}.get(
        push.outcome, "Not handed off"
    )
    if entry is None:
        return f"{head}: {push.code}."
    return f"{head}: {entry.cause}."


def row(slug: str, push: Delivery, receipts: Mapping[str, Sequence[Receipt]]) -> list[Any]:
    """A push as a row of parts/table.html under COLUMNS."""
    there = address("push", slug, push.trace)
    delivered = bool(receipts.get(push.trace))
    words = "delivered" if delivered else WORDS.get(push.outcome, push.outcome)
    became = {
        "kind": "good" if delivered else KINDS.get(push.outcome, "bad"),
        "text": words[:1].upper() + words[1:],
        "code": "" if push.outcome == SENT else push.code,
        "note": f"({push.count:,} times)" if push.count > 1 else "",
    }
    type_label = TYPE_LABELS.get(push.type, push.type or "none")
    link = {"href": there, "text": push.trace} if there else {"code": push.trace}
    short = push.device[:DEVICE_SHOWN]
    device_url = address("device", slug, push.device) if push.device else ""
    device = {"href": device_url, "text": short} if device_url else {"code": short} if short else ""
    return [{"at": push.accepted_at, "exact": True}, push.server.name, push.platform, type_label, device, became, link]


def split_sentence(splits: Sequence[Split], acked: int) -> str:
    """How many pushes there are, and what came of them: "300 pushes: 297 handed off (250 delivered), 3 refused"."""
    count = pushes.total(splits)
    by_outcome: dict[str, int] = {}
    for each in splits:
        by_outcome[each.outcome] = by_outcome.get(each.outcome, 0) + each.pushes
    parts = []
    for outcome, number in by_outcome.items():
        delivered = f" ({acked:,} of them delivered)" if outcome == SENT and acked else ""
        parts.append(f"{number:,} {WORDS.get(outcome, outcome)}{delivered}")
    return f"{count:,} {'push' if count == 1 else 'pushes'}: {', '.join(parts)}"


SPLIT_COLUMNS: Final = (
    {"label": "Outcome"},
    {"label": "Pushes", "number": True},
    {"label": "Why"},
    {"label": "Whose it is"},
)


def split_row(each: Split) -> list[Any]:
    """A part of a split as a row of parts/table.html under SPLIT_COLUMNS; its number leads to the pushes it counts."""
    entry = ENTRIES.get(each.code)
    counted = {"href": f"?{urlencode({'code': each.code})}", "text": f"{each.pushes:,}"}
    words = WORDS.get(each.outcome, each.outcome)
    mark = {"kind": KINDS.get(each.outcome, "bad"), "text": words[:1].upper() + words[1:]}
    if each.outcome == SENT:
        return [mark, counted, "", ""]
    why = {"href": address("code", each.code), "text": entry.title} if entry else {"code": each.code}
    named = whose(each.attribution, entry.provider if entry else "")
    return [mark, counted, why, named[:1].upper() + named[1:]]
