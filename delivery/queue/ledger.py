"""Ledger of batches: what was accepted and has not ended, so that accepted = ended + in flight can be checked.

A batch is entered in the transaction that enqueues it, with whose its pushes are, and struck out by the script that
settles the last of it: both are in the append-only file, so that the ledger is exact through every restart, and lost
only with the queue itself. delivery/worker/ledger_watch.py looks for what is entered and is nowhere any more.

Keys: ledger:open (hash: batch to the heads of its pushes, JSON) · ledger:state (hash: lost, how many pushes, and
checked_at, unix seconds) · ledger:turn (there while it is no worker's turn to check).
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from delivery.queue import valkey

OPEN: Final = "ledger:open"
STATE: Final = "ledger:state"
TURN: Final = "ledger:turn"


class Head(msgspec.Struct, gc=False, array_like=True):
    """Whose a push is: its trace, when it was accepted (unix seconds), ids of customer, server and key, its size."""

    trace: str
    at: float
    customer: int
    server: int
    key: int
    size: int


_decode: Final = msgspec.json.Decoder(list[Head | None]).decode
_encode: Final = msgspec.json.Encoder().encode


def entering(batch_id: str, items: Sequence[bytes]) -> bytes:
    """The packed command that enters a batch: `items` as batch.encode_item() makes them."""
    heads = b",".join([item[: item.index(b"{")].rstrip(b", \t\r\n") + b"]" for item in items])
    return valkey.pack(("HSET", OPEN, batch_id, b"[%b]" % heads))


def entering_again(batch_id: str, heads: Sequence[Head | None]) -> bytes:
    """The same for a batch that is published again; None for a push that has ended."""
    return valkey.pack(("HSET", OPEN, batch_id, _encode(heads)))


def heads(entry: Any) -> list[Head | None]:
    """Whose the pushes of a batch are, by its entry. Raises msgspec.DecodeError."""
    return _decode(entry)
