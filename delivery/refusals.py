"""Pushes that end before the queue: their answer, and their row in the log.

A row of ours goes straight to where workers put theirs. While Valkey is away rows are kept in memory, bounded: a flood
of refused pushes then shares rows with a count. Invariant: each refused push is counted in exactly one row.
"""

import asyncio
import collections
import time
from typing import Any

from delivery import log, meters, outcomes, valkey, wire
from delivery.verdict import Verdict
from tenants.snapshot import Identity

# Rows of refused pushes that are kept in memory while Valkey is away; past that, equal ones share a row with a count.
OWED = 2_000


class Pending:
    """One push on its way: who sent it, the push, and the future of the answer's body."""

    __slots__ = ("answer", "at", "push", "size", "trace", "who")

    def __init__(
        self, who: Identity, push: wire.Push, trace: str, at: float, size: int, answer: "asyncio.Future[bytes]"
    ):
        self.who, self.push, self.trace, self.at, self.size, self.answer = who, push, trace, at, size, answer


class Refusals:
    """Refuses pushes of one web process; pay() when Valkey is back."""

    def __init__(self, link: valkey.Link, hash_key: bytes) -> None:
        self.link, self.hash_key = link, hash_key
        self._owed: collections.OrderedDict[tuple[Any, ...], tuple[bytes, int]] = collections.OrderedDict()

    def refuse(self, pending: Pending, code: str, **details: object) -> "asyncio.Future[bytes]":
        """End a push with a refusal of our own; an answer that was given before stays."""
        verdict = outcomes.refusal(code)
        if not pending.answer.done():
            pending.answer.set_result(wire.fail_body(outcomes.text(verdict, pending.trace, **details)))
        meters.ended(pending.push, verdict, time.time() - pending.at)
        self._owe(pending, verdict)
        return pending.answer

    def _owe(self, pending: Pending, verdict: Verdict) -> None:
        if self.link.up:
            self.link.post(valkey.pack(("RPUSH", log.ROWS, self._row(pending, verdict, 1))), 1)
            return
        key: tuple[Any, ...] = (pending.trace,)
        if len(self._owed) >= OWED:
            key = (pending.who.server_id, pending.who.key_id, verdict.code)
        count = self._owed.get(key, (b"", 0))[1] + 1
        self._owed[key] = (self._row(pending, verdict, count), count)

    def pay(self) -> None:
        """Hand over the rows that are owed."""
        owed, self._owed = self._owed, collections.OrderedDict()
        if owed:
            self.link.post(valkey.pack(("RPUSH", log.ROWS, *[row for row, _ in owed.values()])), 1)

    def _row(self, pending: Pending, verdict: Verdict, count: int) -> bytes:
        who, device = pending.who, pending.push.device_id
        return log.row(
            pending.trace,
            pending.at,
            time.time(),
            f"{who.customer_id}\t{who.server_id}\t{who.key_id}",
            None,
            pending.push,
            log.fingerprint(device, self.hash_key) if device else "",
            pending.size,
            verdict,
            (),
            count,
        )
