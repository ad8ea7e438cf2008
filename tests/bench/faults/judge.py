"""Judges a record of a load: what was lost, repeated, wrongly told or wrongly removed, and whether that may be.

Pure. Invariant: whatever a row of the table counts as a breach fails the run, and what a fault cannot help (a push
whose process was killed has no answer) is allowed to that fault by name, never in general.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Final

import msgspec

from tests.bench.faults.records import NO_ANSWER, RESET, UNREACHED, OnWire, Record, Row, Told

LONGEST_ANSWER, LONGEST_WAIT = 7.5, 28.0
"""Seconds within which a server has its answer: the deadline of 5 s, and what a busy machine takes to notice it; and
where it has to wait for a process to start, less than a Mattermost server waits."""
RECOVERY: Final = 60.0
"""Seconds after the last fault within which all has to be well."""
# Codes of pushes that were never taken on.
_TURNED_AWAY: Final = ("queue_down", "queue_full", "overloaded", "over_limit", "internal_error", "repeated")
_EXAMPLES: Final = 5


class Tally(msgspec.Struct):
    """One row of the table. All are counts of pushes, but for the seconds.

    accepted: taken on, as far as anybody was told or any row says; ok_otherwise: told OK, not delivered, and an honest
    row says so; fail_delivered: told FAIL and delivered all the same; unlogged: turned away and in no row.
    """

    pushes: int = 0
    accepted: int = 0
    ok: int = 0
    removed: int = 0
    fail: dict[str, int] = {}
    no_answer: int = 0
    unreached: int = 0
    delivered: int = 0
    wire_repeats: int = 0
    phone_repeats: int = 0
    rings_again: int = 0
    other_ids: int = 0
    lost: int = 0
    ok_otherwise: int = 0
    fail_delivered: int = 0
    wrongly_removed: int = 0
    rows_missing: int = 0
    rows_double: int = 0
    unlogged: int = 0
    told_otherwise: int = 0
    longest: float = 0.0
    recovered: float | None = None
    examples: dict[str, list[str]] = {}  # of what is wrong, some ack_ids

    def note(self, what: str, ack_ids: Iterable[str]) -> int:
        """Keep some examples; returns how many there are."""
        found = sorted(ack_ids)
        if found:
            self.examples[what] = found[:_EXAMPLES]
        return len(found)


# What may not be, whatever happens, by the member of Tally; and the words for it.
BREACHES: Final = {
    "lost": "told OK, and neither delivered nor honestly ended",
    "phone_repeats": "shown twice on a phone",
    "rings_again": "calls that rang twice",
    "other_ids": "repeated under another apns-id",
    "wrongly_removed": "REMOVE for a phone that is not gone",
    "rows_missing": "without a row",
    "rows_double": "in two rows",
    "told_otherwise": "whose row does not say what was told",
    "ok_otherwise": "told OK, then not delivered",
    "no_answer": "never answered",
    "unreached": "that nobody listened for",
    "unlogged": "turned away without a row",
}


def judge(record: Record) -> Tally:
    """Count everything; see Tally."""
    tally = Tally(pushes=len(record.told), recovered=record.recovered)
    told = record.told
    by_ack = defaultdict(list)
    for request in record.wire:
        if request.ack_id in told:
            by_ack[request.ack_id].append(request)
    rows = defaultdict(list)
    for row in record.rows:
        rows[row.ack_id].append(row)
    told = {ack_id: _seen(push, ack_id in by_ack or ack_id in rows) for ack_id, push in told.items()}
    _answers(tally, told)
    _wire(tally, told, by_ack)
    _ends(tally, told, by_ack, rows)
    _rows(tally, told, rows)
    return tally


def _seen(push: Told, was_taken_on: bool) -> Told:
    """The same push; one that was reset, and of which nothing is known, came to nobody who listened."""
    if push.status != RESET:
        return push
    return msgspec.structs.replace(push, status=NO_ANSWER if was_taken_on else UNREACHED)


def _answers(tally: Tally, told: dict[str, Told]) -> None:
    statuses = Counter(push.status for push in told.values())
    tally.ok, tally.removed = statuses["OK"], statuses["REMOVE"]
    tally.no_answer, tally.unreached = statuses[NO_ANSWER], statuses[UNREACHED]
    tally.fail = dict(Counter(push.code for push in told.values() if push.status == "FAIL").most_common())
    wrong = (push.ack_id for push in told.values() if push.status == "REMOVE" and not push.gone)
    tally.wrongly_removed = tally.note("wrongly_removed", wrong)
    silent = (UNREACHED, NO_ANSWER)
    tally.longest = max((push.seconds for push in told.values() if push.status not in silent), default=0.0)
    tally.note("no_answer", (push.ack_id for push in told.values() if push.status == NO_ANSWER))


def _wire(tally: Tally, told: dict[str, Told], by_ack: dict[str, list[OnWire]]) -> None:
    tally.delivered = sum(any(each.delivered for each in requests) for requests in by_ack.values())
    tally.wire_repeats = sum(len(requests) - 1 for requests in by_ack.values())
    twice, other, rang = [], [], []
    for ack_id, requests in by_ack.items():
        screen = [each for each in requests if each.delivered and each.shown]
        # What takes another's place on the phone is no second notification; what takes nobody's is one.
        if len({each.place for each in screen if each.place}) + sum(not each.place for each in screen) > 1:
            (rang if told[ack_id].kind == "call" else twice).append(ack_id)
        if len({each.apns_id for each in requests}) > 1:
            other.append(ack_id)
    tally.phone_repeats, tally.other_ids = tally.note("phone_repeats", twice), tally.note("other_ids", other)
    tally.rings_again = tally.note("rings_again", rang)


def _ends(tally: Tally, told: dict[str, Told], by_ack: dict[str, list[OnWire]], rows: dict[str, list[Row]]) -> None:
    lost, otherwise, delivered_all_the_same, accepted = [], [], [], 0
    for ack_id, push in told.items():
        arrived = any(each.delivered for each in by_ack.get(ack_id, ()))
        own = [row for row in rows.get(ack_id, ()) if row.count == 1]
        outcomes = {row.outcome for row in own}
        accepted += bool(arrived or push.status in ("OK", "REMOVE") or {row.code for row in own} - set(_TURNED_AWAY))
        # That a phone is gone is told with the device's next push, where nobody knew it by the deadline.
        if push.status == "OK" and not arrived and not (push.gone and outcomes == {"gone"}):
            (lost if outcomes <= {"sent", "lost"} else otherwise).append(ack_id)
        if push.status == "FAIL" and arrived:
            delivered_all_the_same.append(ack_id)
    tally.accepted = accepted
    tally.lost, tally.ok_otherwise = tally.note("lost", lost), tally.note("ok_otherwise", otherwise)
    tally.fail_delivered = tally.note("fail_delivered", delivered_all_the_same)


def _rows(tally: Tally, told: dict[str, Told], rows: dict[str, list[Row]]) -> None:
    answered = {ack_id for ack_id, push in told.items() if push.status in ("OK", "FAIL", "REMOVE")}
    # What was told OK or REMOVE has a row of its own; refusals may share rows, each counted in one.
    tally.rows_missing = tally.note(
        "rows_missing",
        (ack_id for ack_id in answered if told[ack_id].status != "FAIL" and ack_id not in rows),
    )
    tally.rows_double = tally.note("rows_double", (ack_id for ack_id, found in rows.items() if len(found) > 1))
    ours = [row for found in rows.values() for row in found if row.ack_id in told]
    # Pushes without an answer may have a row or none; only an own one is told from the rows of others.
    silent = sum(row.count == 1 and row.ack_id not in answered for row in ours)
    counted = sum(row.count for row in ours)
    tally.unlogged = max(0, len(answered) + silent - counted - tally.rows_missing)
    tally.rows_double += max(0, counted - silent - len(answered) - tally.no_answer - tally.rows_double)
    differing = (row.ack_id for row in ours if row.ack_id in answered and row.answer != told[row.ack_id].status)
    tally.told_otherwise = tally.note("told_otherwise", differing)


def breaches(tally: Tally, may: Iterable[str] = (), longest: float = LONGEST_ANSWER) -> list[str]:
    """What is wrong, a sentence each; `may`: members of BREACHES that are allowed to this fault."""
    allowed = set(may)
    found = [
        f"{count} {words} ({', '.join(tally.examples.get(name, [])[:2])})"
        for name, words in BREACHES.items()
        if name not in allowed and (count := getattr(tally, name))
    ]
    if tally.longest > (LONGEST_WAIT if "longest" in allowed else longest):
        found.append(f"the longest answer took {tally.longest:.1f} s")
    if tally.recovered is None or tally.recovered > RECOVERY:
        found.append(f"all was not well {RECOVERY:.0f} s after the last fault")
    return found
