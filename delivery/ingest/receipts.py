"""Delivery receipts: a phone acknowledges, through its server, that it has shown a push.

Answered before anything is done with it, because the phone waits for the answer before it shows the notification; then
collected, and handed to Valkey in groups (delivery/log/receipt_lines.py). A receipt has its name from here: one that is
handed over again, because only Valkey's reply was lost, is still one. Invariants: memory is bounded in bytes; a server
that floods us loses its own receipts and nobody else's; what is left out is counted by reason.
"""

import asyncio
import collections
import logging
import math
import time
from collections.abc import Callable
from typing import Any, Final

from delivery.log import receipt_lines
from delivery.log.receipt_lines import ReceiptLine
from delivery.log.rows import KEPT
from delivery.metrics import counting, receipt_counts
from delivery.metrics.receipt_counts import LeftOut
from delivery.protocol import wire
from delivery.queue import shared_clock, valkey
from tenants.directory.snapshot import Identity

logger = logging.getLogger(__name__)

BODY_LIMIT: Final = 4_096
"""Bytes of a request to ack; Mattermost's have some 200. They cost no token, so they must cost little else."""

# Receipts of one server that are kept in the long run, per second and web process, and at once after a quiet time: a
# post to all of a large server is acknowledged by all phones within seconds, but nobody sends 500 pushes a second.
RATE: Final = 500
BURST: Final = 10_000
# Bytes of receipts in memory while Valkey takes none, and what one costs beside its line.
MOST_BYTES: Final = 8_000_000
OVERHEAD: Final = 64
# Seconds that the first receipt of a group waits for company, and before what Valkey did not take is offered again.
LINGER: Final = 0.05
PAUSE: Final = 1.0
# Lines of one element of the list, and bytes of what is handed over at a time.
LINES_MOST: Final = 200
HANDOVER_BYTES: Final = 500_000
# Seconds between two words in the log about receipts that are left out, and before a quiet server is forgotten.
REMINDER: Final = 60.0
QUIET: Final = BURST / RATE

# Elements on their way to Valkey: of each the server, and its lines.
_Handover = list[tuple[int, list[bytes]]]


class AckRejected(ValueError):
    """The ack cannot be taken; `code` is that of its FAIL."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def read(body: bytes) -> wire.Ack:
    """Read the body of a request to ack, and count it. Raises AckRejected."""
    try:
        ack = wire.decode_ack(body)
    except wire.Malformed:
        raise AckRejected("malformed") from None
    for member in ("id", "platform", "type"):  # in the order of the reference proxy
        if not getattr(ack, member):
            raise AckRejected(f"missing_ack_{member}")
    counting.receipt(ack)
    return ack


class _Server:
    """The receipts of one server that wait, and a token bucket of those that it may still bring."""

    __slots__ = ("at", "lines", "size", "tokens")

    def __init__(self, now: float) -> None:
        self.lines: collections.deque[bytes] = collections.deque()
        self.size = 0  # bytes in memory, of lines on their way to Valkey, too
        self.tokens, self.at = float(BURST), now

    def take(self, now: float) -> bool:
        """Take a token; whether there was one."""
        self.tokens = min(BURST, self.tokens + (now - self.at) * RATE)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Receipts:
    """The receipts that one web process has not handed over yet; all on its loop. flush() when Valkey is back."""

    def __init__(self, link: valkey.Link, make_id: Callable[[], str]) -> None:
        """make_id: gives names that no other process gives."""
        self._link, self._make_id = link, make_id
        self._servers: dict[int, _Server] = {}
        self.size = 0  # bytes in memory
        self._timer: asyncio.TimerHandle | None = None
        self._handing_over = False
        self._left_out: collections.Counter[LeftOut] = collections.Counter()
        self._reminded_at = self._complained_at = self._forgot_at = -math.inf

    def keep(self, who: Identity, ack: wire.Ack) -> None:
        """Keep the receipt of a push of this customer's; never waits, and drops what there is no room for."""
        now = time.monotonic()
        server = self._servers.get(who.server_id)
        if server is None:
            server = self._servers[who.server_id] = _Server(now)
        if not server.take(now):
            self.leave_out("rate")
            return
        line = receipt_lines.encode(
            ReceiptLine(
                self._make_id(),
                int(shared_clock.now() * 1000 + 0.5),
                who.customer_id,
                who.server_id,
                ack.id[:KEPT],
                receipt_lines.text(ack.type),
                receipt_lines.text(ack.platform),
                receipt_lines.phone_time(ack.received_at),
            )
        )
        size = len(line) + OVERHEAD
        if self.size + size > MOST_BYTES and not self._make_room(server, size):
            self.leave_out("memory")
            return
        server.lines.append(line)
        server.size += size
        self.size += size
        if self._timer is None and not self._handing_over and self._link.up:
            self._timer = asyncio.get_running_loop().call_later(LINGER, self.flush)

    def leave_out(self, reason: LeftOut, count: int = 1) -> None:
        """Count receipts that are not kept, and say so in the log, at once and then once a minute."""
        if not count:
            return
        receipt_counts.left_out(reason, count)
        self._left_out[reason] += count
        now = time.monotonic()
        if now - self._reminded_at >= REMINDER:
            self._reminded_at = now
            reasons = ", ".join(f"{number} ({name})" for name, number in sorted(self._left_out.items()))
            self._left_out.clear()
            logger.error("receipts of phones were left out: %s; nobody will know that these pushes came", reasons)

    def _make_room(self, newcomer: _Server, size: int) -> bool:
        """Drop the newest receipts of whoever has most, unless that is the newcomer."""
        while self.size + size > MOST_BYTES:
            waiting = [server for server in self._servers.values() if server.lines]
            largest = max(waiting, key=lambda server: server.size, default=newcomer)
            if newcomer.size >= largest.size:
                return False
            dropped = len(largest.lines.pop()) + OVERHEAD
            largest.size -= dropped
            self.size -= dropped
            self.leave_out("memory")
        return True

    def flush(self, most: int = HANDOVER_BYTES) -> None:
        """Hand over up to `most` bytes, in turns from each server; what Valkey does not take is offered again."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._handing_over or not self._link.up:
            return  # it is called again when it is
        handover = self._take(most)
        if not handover:
            return
        self._handing_over = True
        elements: list[Any] = []
        for server, lines in handover:
            elements += (str(server), str(len(lines)), b"".join(lines))
        queue, shares = receipt_lines.QUEUE.waiting, receipt_lines.SHARES
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        reply.add_done_callback(lambda future: self._on_reply(future, handover))
        self._link.post(valkey.pack(("EVAL", receipt_lines.KEEP, "2", queue, shares, *elements)), 1, reply)

    def _take(self, most: int) -> _Handover:
        handover: _Handover = []
        waiting = {number: server for number, server in self._servers.items() if server.lines}
        while waiting and most > 0:
            for number, server in list(waiting.items()):
                lines = [server.lines.popleft() for _ in range(min(LINES_MOST, len(server.lines)))]
                handover.append((number, lines))
                most -= sum(map(len, lines))
                if not server.lines:
                    del waiting[number]
                if most <= 0:
                    break
        return handover

    def _on_reply(self, reply: "asyncio.Future[Any]", handover: _Handover) -> None:
        self._handing_over = False
        if reply.cancelled():
            return
        error = reply.exception() or (reply.result() if isinstance(reply.result(), Exception) else None)
        if error is not None:
            self._complain(error)
            for number, lines in reversed(handover):
                self._servers[number].lines.extendleft(reversed(lines))
            self._flush_in(PAUSE)
            return
        for number, lines in handover:
            size = sum(map(len, lines)) + OVERHEAD * len(lines)
            self._servers[number].size -= size
            self.size -= size
        left_out = int(reply.result())
        receipt_counts.kept(sum(len(lines) for _, lines in handover) - left_out)
        self.leave_out("backlog", left_out)
        self._forget()
        if self.size:
            self._flush_in(0)

    def _complain(self, error: BaseException) -> None:
        now = time.monotonic()
        if isinstance(error, ConnectionError) or now - self._complained_at < REMINDER:
            return  # when the connection is gone, the link says so itself
        self._complained_at = now
        logger.error("Valkey does not take receipts of phones, which are kept as far as there is room: %s", error)

    def _flush_in(self, seconds: float) -> None:
        if self._timer is None and self._link.up:
            self._timer = asyncio.get_running_loop().call_later(seconds, self.flush)

    def _forget(self) -> None:
        """Forget the servers that have brought none for so long that they have all their tokens again."""
        now = time.monotonic()
        if now - self._forgot_at < QUIET:
            return
        self._forgot_at = now
        for number in [number for number, one in self._servers.items() if not one.size and now - one.at > QUIET]:
            del self._servers[number]
