"""Pushes that are turned away before the queue: their answer, and their row in the delivery log.

A row of ours goes straight to where workers put theirs. While Valkey is away rows are kept in memory, bounded: a flood
of such pushes then shares rows with a count. Invariants: each push that is turned away is counted in exactly one row,
and the trace that its server is told is that row's, also where many share it.
"""

import asyncio
import collections
import logging
import random
import time
from typing import Any, NamedTuple

from delivery.devices.dead import Known
from delivery.ingest.pending import PendingPush
from delivery.log import rows
from delivery.metrics import counting, removal_counts
from delivery.outcomes import judge, removal
from delivery.outcomes.verdict import Verdict
from delivery.protocol import wire
from delivery.queue import shared_clock, valkey
from tenants.directory.live import DIRECTORY
from tenants.refusals import Whose

logger = logging.getLogger(__name__)

# Rows that are kept in memory while Valkey is away; past that, equal ones share a row with a count.
ROWS_MOST = 2_000
# Codes that come in floods by their nature: the pushes of a second share a row with a count. So do all of pushes
# without a key: whoever sends them must not fill the log. So does any other code of a key, after the first few of a
# second: these are found by their traces, and what comes behind them is a flood.
AGGREGATED = frozenset(("over_limit",))
ROWS_OF_THEIR_OWN = 20

# Seconds until the answer to a push of a flood, spread so that not all come in one moment, and how many may wait for
# it: whoever sends the next push as soon as one is refused would else keep this process from everybody's.
DELAY_MIN, DELAY_MAX = 0.7, 1.4
DELAYED_MOST = 4_000

# Seconds for which the rows of floods are aggregated, and before rows that Valkey did not take are offered again.
PAUSE = 1.0
# Members of the key under which equal pushes share a row.
AGGREGATE_KEY_LENGTH = 3
# Rows that are not in Valkey yet, with how many pushes each stands for, by trace or by what equal ones share.
UnsavedRows = collections.OrderedDict[tuple[Any, ...], tuple[bytes, int]]


class TurnedAwayPushes:
    """Answers and logs the pushes that one web process turns away; flush() when Valkey is back."""

    def __init__(self, link: valkey.Link, hash_key: bytes, public_url: str = "") -> None:
        self.link, self.hash_key, self._public_url = link, hash_key, public_url
        self._unsaved: UnsavedRows = collections.OrderedDict()
        self._flush_handle: asyncio.Handle | None = None
        # Since when, and how many of each key and code have had a row of their own.
        self._since = 0.0
        self._own_rows: collections.Counter[tuple[int, int, str]] = collections.Counter()
        self._delayed = 0

    def turn_away(self, pending: PendingPush, code: str, **details: object) -> "asyncio.Future[bytes]":
        """End a push with a FAIL of our own; an answer that was given before stays."""
        verdict = judge.refusal(code)
        shared = (pending.who.server_id, pending.who.key_id, verdict.code)
        is_flood = self._is_flood(shared)
        was_told = pending.answer.done()
        trace = self._add_row(pending, verdict, shared, is_flood=is_flood, was_told=was_told)
        if not was_told:
            self._answer(
                pending.answer,
                wire.fail_body(judge.text(verdict, trace, self._public_url, **details)),
                # What we refuse for a trouble of ours is nobody's flood.
                is_late=is_flood and verdict.attribution != "ours",
            )
        if pending.who.customer_id not in DIRECTORY.canaries:
            counting.ended(pending.push, verdict, shared_clock.now() - pending.at, bool(pending.who.key_id))
        return pending.answer

    def remove(self, pending: PendingPush, known: Known) -> "asyncio.Future[bytes]":
        """End a push to a device that is known to be dead, without asking its provider."""
        pending.answer.set_result(wire.REMOVE_BODY)
        shared = (pending.who.server_id, pending.who.key_id, removal.KNOWN_DEAD.code)
        self._add_row(pending, removal.KNOWN_DEAD, shared, is_flood=False, was_told=True, app_id=known.app_id)
        removal_counts.decided(known.decision)
        if pending.who.customer_id not in DIRECTORY.canaries:
            seconds = shared_clock.now() - pending.at
            counting.ended(pending.push, removal.KNOWN_DEAD, seconds, bool(pending.who.key_id))
        return pending.answer

    def log_at_door(self, whose: Whose, code: str, trace: str) -> str:
        """Log a push that was refused for its head alone, of which nothing is known but whose it is; returns the trace
        of its row, which is another one's where it shares that."""
        shared = (whose.server_id, whose.key_id, code)
        refused = _AtDoor(whose, trace, shared_clock.now())
        return self._add_row(refused, judge.refusal(code), shared, is_flood=self._is_flood(shared))

    def _answer(self, answer: "asyncio.Future[bytes]", body: bytes, *, is_late: bool) -> None:
        if not is_late or self._delayed >= DELAYED_MOST:
            answer.set_result(body)
            return
        self._delayed += 1
        delay = random.uniform(DELAY_MIN, DELAY_MAX)  # noqa: S311
        asyncio.get_running_loop().call_later(delay, self._answer_late, answer, body)

    def _answer_late(self, answer: "asyncio.Future[bytes]", body: bytes) -> None:
        self._delayed -= 1
        if not answer.done():
            answer.set_result(body)

    def _add_row(
        self,
        refused: "PendingPush | _AtDoor",
        verdict: Verdict,
        shared: tuple[int, int, str],
        *,
        is_flood: bool,
        was_told: bool = False,
        app_id: int | None = None,
    ) -> str:
        """Note a row, or count one push more in that which equal ones share; returns the row's trace.

        was_told: its server has its own trace already; app_id: the app that it was for, if that is known.
        """
        key: tuple[Any, ...] = (refused.trace,)
        aggregated = not was_told and (verdict.code in AGGREGATED or not refused.who.key_id or is_flood)
        if aggregated or len(self._unsaved) >= ROWS_MOST:
            key = shared
        row, count = self._unsaved.get(key, (b"", 0))
        row = rows.with_count(row, count + 1) if count else self._row(refused, verdict, app_id)
        self._unsaved[key] = (row, count + 1)
        if self.link.up and self._flush_handle is None:
            loop = asyncio.get_running_loop()
            self._flush_handle = loop.call_later(PAUSE, self.flush) if aggregated else loop.call_soon(self.flush)
        return rows.trace_of(row).decode() if count else refused.trace

    def _is_flood(self, shared: tuple[int, int, str]) -> bool:
        """Count one push more of a key and code; whether there were enough of them in this second."""
        now = time.monotonic()
        if now - self._since >= PAUSE:
            self._since = now
            self._own_rows.clear()
        self._own_rows[shared] += 1
        return self._own_rows[shared] > ROWS_OF_THEIR_OWN

    def flush(self) -> None:
        """Push the rows to Valkey; what it does not take is kept and tried again."""
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush_handle = None
        if not self.link.up:
            return  # it is called again when it is
        unsaved, self._unsaved = self._unsaved, collections.OrderedDict()
        if not unsaved:
            return
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        reply.add_done_callback(lambda future: self._on_flushed(future, unsaved))
        self.link.post(valkey.pack(("RPUSH", rows.ROWS, *[row for row, _ in unsaved.values()])), 1, reply)

    def close(self) -> None:
        """Push the rows to Valkey for the last time; those that it is not there for are counted and said."""
        self.flush()
        lost = sum(count for _, count in self._unsaved.values())
        if lost:
            counting.rows_lost(lost)
            logger.error("Valkey is away as this process ends: %d refused pushes have no row in the log", lost)

    def _on_flushed(self, reply: "asyncio.Future[Any]", flushed: UnsavedRows) -> None:
        if reply.cancelled() or (reply.exception() is None and not isinstance(reply.result(), Exception)):
            return
        # Perhaps written, and only the reply lost: the table takes a row of one name only once. So such a row stays as
        # it is, and what comes after it is counted in another: also because others were told that one's trace.
        unsure = reply.exception() is not None
        for key, (row, count) in flushed.items():
            if len(key) == AGGREGATE_KEY_LENGTH and (unsure or len(self._unsaved) < 2 * ROWS_MOST):
                key = (*key, rows.trace_of(row))
            more = self._unsaved.get(key, (b"", 0))[1]
            self._unsaved[key] = (rows.with_count(row, count + more), count + more)
        if self.link.up and self._flush_handle is None:
            self._flush_handle = asyncio.get_running_loop().call_later(PAUSE, self.flush)

    def _row(self, refused: "PendingPush | _AtDoor", verdict: Verdict, app_id: int | None) -> bytes:
        who, device = refused.who, refused.push.device_id
        return rows.row(
            refused.trace,
            refused.at,
            shared_clock.now(),
            f"{who.customer_id}\t{who.server_id}\t{who.key_id or rows.NO_KEY}",
            app_id,
            refused.push,
            rows.fingerprint(device, self.hash_key) if device else "",
            refused.size,
            verdict,
            (),
        )


class _AtDoor(NamedTuple):
    """What is known of a push that was refused before its body was read, under the names of a PendingPush."""

    who: Whose
    trace: str
    at: float
    push: wire.Push = wire.Push()
    size: int = 0
