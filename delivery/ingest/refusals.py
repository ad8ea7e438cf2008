"""Pushes that end before the queue: their answer, and their row in the log.

A row of ours goes straight to where workers put theirs. While Valkey is away rows are kept in memory, bounded: a flood
of refused pushes then shares rows with a count. Invariant: each refused push is counted in exactly one row.
"""

import asyncio
import collections
import time
from typing import Any

from delivery.ingest.pending import PendingPush
from delivery.log import rows
from delivery.metrics import counting
from delivery.outcomes import judge
from delivery.outcomes.verdict import Verdict
from delivery.protocol import wire
from delivery.queue import valkey

# Rows of refused pushes that are kept in memory while Valkey is away; past that, equal ones share a row with a count.
OWED = 2_000
# Refusals that come in floods by their nature: those of a second share a row with a count. So do all of pushes without
# a key: whoever sends them must not fill the log.
FLOODS = frozenset(("over_limit",))

# Seconds before rows that Valkey did not take are offered again.
PAUSE = 1.0
# Rows that are owed, with what each stands for, by trace or by what equal refusals share: so many things.
SHARED = 3
Owed = collections.OrderedDict[tuple[Any, ...], tuple[bytes, int]]


class Refusals:
    """Refuses pushes of one web process; pay() when Valkey is back."""

    def __init__(self, link: valkey.Link, hash_key: bytes) -> None:
        self.link, self.hash_key = link, hash_key
        self._owed: Owed = collections.OrderedDict()
        self._payment: asyncio.Handle | None = None

    def refuse(self, pending: PendingPush, code: str, **details: object) -> "asyncio.Future[bytes]":
        """End a push with a refusal of our own; an answer that was given before stays."""
        verdict = judge.refusal(code)
        if not pending.answer.done():
            pending.answer.set_result(wire.fail_body(judge.text(verdict, pending.trace, **details)))
        counting.ended(pending.push, verdict, time.time() - pending.at)
        self._owe(pending, verdict)
        return pending.answer

    def _owe(self, pending: PendingPush, verdict: Verdict) -> None:
        key: tuple[Any, ...] = (pending.trace,)
        flood = verdict.code in FLOODS or not pending.who.key_id
        if flood or len(self._owed) >= OWED:
            key = (pending.who.server_id, pending.who.key_id, verdict.code)
        count = self._owed.get(key, (b"", 0))[1] + 1
        self._owed[key] = (self._row(pending, verdict, count), count)
        if self.link.up and self._payment is None:
            loop = asyncio.get_running_loop()
            self._payment = loop.call_later(PAUSE, self.pay) if flood else loop.call_soon(self.pay)

    def pay(self) -> None:
        """Hand over the rows that are owed; what Valkey does not take stays owed and is tried again."""
        if self._payment is not None:
            self._payment.cancel()
            self._payment = None
        owed, self._owed = self._owed, collections.OrderedDict()
        if not owed:
            return
        said: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        said.add_done_callback(lambda future: self._said(future, owed))
        self.link.post(valkey.pack(("RPUSH", rows.ROWS, *[row for row, _ in owed.values()])), 1, said)

    def _said(self, future: "asyncio.Future[Any]", owed: Owed) -> None:
        if future.cancelled() or (future.exception() is None and not isinstance(future.result(), Exception)):
            return
        # Perhaps written, and only the answer lost: the table takes a row of one name only once. So such a row stays as
        # it is, and what comes after it is counted in another.
        unsure = future.exception() is not None
        for key, (row, count) in owed.items():
            if unsure and len(key) == SHARED:
                key = (*key, row.partition(b"\t")[0])
            more = self._owed.get(key, (b"", 0))[1]
            self._owed[key] = (rows.with_count(row, count + more), count + more)
        if self.link.up and self._payment is None:
            self._payment = asyncio.get_running_loop().call_later(PAUSE, self.pay)

    def _row(self, pending: PendingPush, verdict: Verdict, count: int) -> bytes:
        who, device = pending.who, pending.push.device_id
        return rows.row(
            pending.trace,
            pending.at,
            time.time(),
            f"{who.customer_id}\t{who.server_id}\t{who.key_id or rows.NO_KEY}",
            None,
            pending.push,
            rows.fingerprint(device, self.hash_key) if device else "",
            pending.size,
            verdict,
            (),
            count,
        )
