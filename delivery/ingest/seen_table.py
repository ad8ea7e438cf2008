"""Table of the last day's pushes in the memory of one web process: by a push's digest its state, and when that was.

A bucket for each two first bytes of a digest, in which the records of its pushes stand one behind the other without
them: nine bytes a push, found by a search of bytes. A bucket that is full loses its oldest quarter, so the table has at
most 65,536 times `most` records. Records: delivery/queue/seen.py. Pure.
"""

import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from delivery.queue import seen

# Of a bucket's record: bytes of the digest's rest, and of all of it.
_NAME: Final = seen.DIGEST - 2
_SIZE: Final = seen.RECORD - 2
BUCKETS: Final = 65_536
_digests: Final = struct.Struct(f">H{_NAME}s")
_records: Final = struct.Struct(f">H{_NAME}s{_SIZE - _NAME}s")


class Found(NamedTuple):
    """What is known of a push: its state, and seconds since then."""

    state: int
    age: int


class SeenTable:
    """See the module. `most`: records in a bucket."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._buckets = [b""] * BUCKETS
        self._swept = 0

    def put(self, records: bytes) -> None:
        """Take records over, in this order; each overrules what is known of its push."""
        buckets, most = self._buckets, self.most * _SIZE
        for place, name, rest in _records.iter_unpack(records):
            known = buckets[place]
            if name in known and (at := _find(known, name)) >= 0:
                buckets[place] = known[:at] + name + rest + known[at + _SIZE :]
                continue
            if len(known) >= most:
                known = known[-most + self.most // 4 * _SIZE :]
            buckets[place] = known + name + rest

    def find(self, digest: bytes, now: float) -> Found | None:
        """What is known of a push; `now` in unix seconds. None for one that has not come within the last day."""
        known, name = self._buckets[(digest[0] << 8) + digest[1]], digest[2:]
        if name not in known or (at := _find(known, name)) < 0:
            return None
        value = int.from_bytes(known[at + _NAME : at + _SIZE], "big")
        age = seen.age_of(value, now)
        return Found(value & 3, age) if age < seen.WINDOW else None

    def knows_none_of(self, digests: Iterable[bytes]) -> bool:
        """Whether surely none of these is known: so it is with nearly all that come."""
        buckets = self._buckets
        for place, name in _digests.iter_unpack(b"".join(digests)):  # noqa: SIM110  a generator costs as much again
            if name in buckets[place]:
                return False
        return True

    def sweep(self, buckets: int, now: float) -> None:
        """Let go of what is older than a day at the beginning of the next so many buckets."""
        for _ in range(buckets):
            known, at = self._buckets[self._swept], 0
            while at < len(known):
                if seen.age_of(int.from_bytes(known[at + _NAME : at + _SIZE], "big"), now) < seen.WINDOW:
                    break
                at += _SIZE
            if at:
                self._buckets[self._swept] = known[at:]
            self._swept = (self._swept + 1) % BUCKETS

    def clear(self) -> None:
        """Forget all."""
        self._buckets = [b""] * BUCKETS

    def __len__(self) -> int:
        return sum(map(len, self._buckets)) // _SIZE


def _find(known: bytes, name: bytes) -> int:
    """Where the record of this name begins, -1 for nowhere."""
    at = known.find(name)
    while at % _SIZE and at >= 0:
        at = known.find(name, at + 1)
    return at
