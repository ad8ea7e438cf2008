"""Follows the log of pushes that all web processes have taken on, so that what comes again is known here.

One per web process. A batch goes out with how far its process has read the log; where others have written since,
Valkey's reply brings what that is (delivery/queue/seen.py), and a process that takes nothing on reads it now and then.
Invariants: the table holds what the log holds up to `slot` and its bytes, in the same order; the hour that is followed
is never behind one in which anybody may still write, and none ahead of Valkey's clock.
"""

import asyncio
import logging
from typing import Any, Final, NamedTuple

from delivery.ingest.pending import PendingBatch
from delivery.ingest.queue_memory import QueueMemory
from delivery.ingest.seen_table import Found, SeenTable
from delivery.queue import batch, seen, shared_clock, valkey
from tenants.ticks import tick

logger = logging.getLogger(__name__)

# Seconds between two looks at what others have written, where no batch of ours has brought it.
INTERVAL: Final = 5.0
# Seconds into an hour from which on nobody writes into the last one: far more than clocks differ by.
LATE: Final = 60.0
# Bytes that are read at a time: when there is much, as after a start, and when there is little.
CHUNK: Final = 6_000 * seen.RECORD
MOST_AT_ONCE: Final = 16 * CHUNK
# Buckets that are swept at each look: all of them twice in a day.
SWEPT: Final = 16
_INDEXES: Final = bytes(range(batch.MOST))


class Note(NamedTuple):
    """What was recorded with a batch: where it was to stand, and the records with their places in the batch."""

    where: seen.Known
    records: bytes
    indexes: bytes


class SeenLog:
    """See the module. load() on each new connection, before anybody may write to it."""

    def __init__(self, link: valkey.Link, memory: QueueMemory) -> None:
        self._link, self._memory = link, memory
        self.table = SeenTable(seen.MOST)
        self.slot = 0
        self._sizes: dict[int, int] = {}  # of each hour's bytes those that were read
        self._on_their_way = 0  # bytes that have no reply yet
        self._tail = (0, 0, b"")  # the last record of our own that was read, where it ends, and in which hour

    def note(self, pending: PendingBatch, key: str, *, in_queue: bool, surely_first: bool) -> tuple[bytes, Note | None]:
        """The packed command that records a batch's pushes, and what noted() wants of it; b"", None for nothing.

        See seen.noting().
        """
        records, indexes, known = self._records(pending, surely_first=surely_first)
        if not records:
            return b"", None
        size = self._sizes.get(self.slot, 0)
        note = Note(seen.Known(self.slot, size, size + self._on_their_way), records, indexes)
        self._on_their_way += len(records)
        command = seen.noting(
            pending.id,
            key,
            note.where,
            records,
            indexes,
            known,
            len(pending.pushes),
            in_queue=in_queue,
            surely_first=surely_first,
        )
        return command, note

    def _records(self, pending: PendingBatch, *, surely_first: bool) -> tuple[bytes, bytes, bytes]:
        """The records of a batch's pushes, their places in it, and which are known to have come before, if any are."""
        now = shared_clock.now()
        accepted = seen.stamp(now, seen.ACCEPTED)
        digests = [seen.NONE if push is None else push.digest for push in pending.pushes]
        if seen.NONE not in digests and self.table.knows_none_of(digests):  # as good as always
            return accepted.join(digests) + accepted, _INDEXES[: len(digests)], b""
        records, indexes, known = [], bytearray(), bytearray()
        for index, digest in enumerate(digests):
            if digest == seen.NONE:
                continue
            found = self.table.find(digest, now)
            if surely_first and found is not None and found.state in (seen.GONE, seen.UNCERTAIN):
                continue  # that is how it has ended
            records.append(digest + accepted)
            indexes.append(index)
            known.append(not surely_first and found is not None and found.state != seen.FAILED)
        return b"".join(records), bytes(indexes), bytes(known) if any(known) else b""

    def noted(self, note: Note, pending: PendingBatch, reply: Any) -> list[seen.Repeat]:
        """Take Valkey's reply to a note() over; returns which pushes came before. None of them where it refused it."""
        self._on_their_way = max(0, self._on_their_way - len(note.records))
        if reply is None:
            self.table.put(note.records)
            self._advance(note.where.slot, note.where.expected + len(note.records), note.records)
            return []
        if not isinstance(reply, list):
            return []
        slot, size, again, *others = reply
        for at in range(0, len(others), 3):
            self._read(others[at], others[at + 1], others[at + 2])
        now = shared_clock.now()
        repeats = []
        for index in again:
            push = pending.pushes[index]
            found = None if push is None else self.table.find(push.digest, now)
            repeats.append(seen.Repeat(index, *(found or (seen.ACCEPTED, 0))))
        records = [note.records[at : at + seen.RECORD] for at in range(0, len(note.records), seen.RECORD)]
        for at, index in enumerate(note.indexes):
            if index in again:
                records[at] = seen.NOTHING
        self.table.put(b"".join(records))
        self._advance(slot, size, records[-1])
        return repeats

    def _read(self, slot: int, start: int, part: bytes) -> None:
        """Take over what stands in an hour's string from byte `start` on, but for what was read before."""
        have, end = self._sizes.get(slot, 0), start + len(part)
        if start <= have < end:
            self.table.put(part[have - start :])
            self._advance(slot, end, part)

    def _advance(self, slot: int, size: int, records: bytes) -> None:
        """`size` bytes of an hour were read, the last of them `records`."""
        self.slot = max(self.slot, slot)
        if size >= self._sizes.get(slot, 0):
            self._sizes[slot] = size
            last = records[-seen.RECORD :]
            if last and last != seen.NOTHING and (slot, size) >= self._tail[:2]:
                self._tail = (slot, size, last)

    def find(self, digest: bytes) -> Found | None:
        """What is known of a push by now."""
        return self.table.find(digest, shared_clock.now())

    def refresh(self) -> "asyncio.Future[Any]":
        """Read what others have written, and take it over; done when it is, which may have failed."""
        slots = (self.slot, self.slot + 1)
        starts = [self._sizes.get(slot, 0) for slot in slots]
        replies = [
            self._link.execute("GETRANGE", seen.slot_key(slot), str(start), str(start + MOST_AT_ONCE - 1))
            for slot, start in zip(slots, starts, strict=True)
        ]

        def take_over(_: "asyncio.Future[Any]") -> None:
            if any(reply.cancelled() or reply.exception() is not None for reply in replies):
                return
            current = self.slot
            for slot, start, reply in zip(slots, starts, replies, strict=True):
                if isinstance(part := reply.result(), bytes):
                    self._read(slot, start, part)
            # Not into the next hour for what stands there, for somebody may still write into this one.
            is_late = shared_clock.at_valkey() >= slots[1] * seen.SLOT + LATE
            self.slot = max(current, slots[1]) if is_late else current

        replies[-1].add_done_callback(take_over)
        return replies[-1]

    async def load(self, connection: valkey.Connection | valkey.Link) -> None:
        """Read all that is not known yet; all of the log, where it is not the one that was followed any more.

        A machine that lost its power has lost the end of it. Raises ConnectionError.
        """
        self._on_their_way = 0
        slot, size, record = self._tail
        if record:
            stands = await valkey.ask(
                connection, "GETRANGE", seen.slot_key(slot), str(size - seen.RECORD), str(size - 1)
            )
        if not record or stands != record:
            self.table.clear()
            self._sizes.clear()
            self.slot, self._tail = 0, (0, 0, b"")
        seconds, _ = await valkey.ask(connection, "TIME")
        newest = int(seconds) // seen.SLOT
        for each in range(max(self.slot, newest - seen.SLOTS), newest + 1):
            while True:
                start = self._sizes.get(each, 0)
                part = await valkey.ask(connection, "GETRANGE", seen.slot_key(each), str(start), str(start + CHUNK - 1))
                self._read(each, start, part)
                if len(part) < CHUNK:
                    break
        self.slot = max(self.slot, newest)

    async def follow(self) -> None:
        """Keep up with the others and within bounds, until cancelled."""
        while True:
            await tick(INTERVAL)
            if self._link.up:
                self.refresh()
                self._keep_within_bounds()

    def _keep_within_bounds(self) -> None:
        self.table.most = seen.records_most(self._memory.maxmemory)
        self.table.sweep(SWEPT, shared_clock.now())
        for slot in [slot for slot in self._sizes if slot < self.slot - seen.SLOTS]:
            del self._sizes[slot]
        most = self.table.most * seen.BYTES_A_RECORD
        while sum(self._sizes.values()) > most and len(self._sizes) > 1:
            oldest = min(self._sizes)
            del self._sizes[oldest]
            self._link.execute("DEL", seen.slot_key(oldest))
