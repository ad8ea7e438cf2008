"""Encoding of a batch for the queue, and of the results on their way back. Pure.

Sealed, a batch is a JSON array of items. Results travel as one packed blob per flush: the count of short entries, the
short entries (OK and REMOVE, seven bytes each), then the FAIL texts.
"""

import struct
from collections.abc import Sequence

import msgspec

from delivery.protocol.wire import Push

QUEUE = "push"
"""The queue of batches: the list in Valkey, and Celery's queue of the task `deliver`."""
# The most pushes, and the most bytes of pushes, that one batch carries.
MOST, MOST_BYTES = 200, 1_000_000

_short = struct.Struct("<IHB")
_count = struct.Struct("<H")
_texts = msgspec.msgpack.Decoder(list[tuple[int, int, str]])


class Item(msgspec.Struct, gc=False, array_like=True):
    """One push in a batch: its trace id, when it was accepted (unix seconds), whose it is, its size as it came in."""

    trace: str
    at: float
    customer: int
    server: int
    key: int
    size: int
    push: Push


def payload_key(batch_id: str) -> str:
    """The key of a sealed batch that is too large for its task."""
    return f"batch:{batch_id}"


def progress_key(batch_id: str) -> str:
    """The key of the bitmap of a batch's settled pushes (delivery/worker/settlement.py)."""
    return f"done:{batch_id}"


def progress_bit(index: int) -> int:
    """The bit in it of push `index`."""
    return 8 + index


def reply_key(process: str) -> str:
    """The list of results for one web process."""
    return f"reply:{process}"


decode_items = msgspec.json.Decoder(list[Item]).decode


def encode_item(trace: str, at: float, customer: int, server: int, key: int, size: int, push: bytes) -> bytes:
    """Encode one item, with the push as the JSON that it came in."""
    return b'["%s",%.3f,%d,%d,%d,%d,%b]' % (trace.encode(), at, customer, server, key, size, push)


def join(items: Sequence[bytes]) -> bytes:
    """The JSON array of encoded items."""
    return b"[" + b",".join(items) + b"]"


def pack_results(short: Sequence[tuple[int, int, int]], texts: Sequence[tuple[int, int, str]]) -> bytes:
    """Pack results: (batch number, index, answer) for OK and REMOVE; (batch number, index, text) for FAIL."""
    blob = _count.pack(len(short)) + b"".join([_short.pack(*entry) for entry in short])
    return blob + msgspec.msgpack.encode(texts) if texts else blob


def unpack_results(blob: bytes) -> tuple[Sequence[tuple[int, int, int]], Sequence[tuple[int, int, str]]]:
    """Unpack what pack_results packed. Raises struct.error or msgspec.DecodeError on a blob that is not one."""
    end = 2 + _count.unpack_from(blob)[0] * _short.size
    short = list(_short.iter_unpack(blob[2:end]))
    return short, _texts.decode(blob[end:]) if len(blob) > end else []
