"""A receipt as a line of JSON, and the list in Valkey in which web processes leave such lines for the log.

Written where a phone's ack comes in (delivery/ingest/receipts.py), read by receipts.py. What waits is bounded, and so
is each server's share of it: while PostgreSQL is away a flood of one server fills neither Valkey nor others' room.
"""

from typing import Final

import msgspec

from delivery.log.rows import KEPT
from delivery.log.segments import Queue

# How many of each server wait, by its id, and "all" of them.
SHARES: Final = "receipts:shares"
QUEUE: Final = Queue("receipts:waiting", "receipts:segments", "receipts:written_at", "receipts:rejected", (SHARES,))
# Receipts that wait in the list, some 150 bytes each, and those of one server; as many again may be on their way out.
WAITING_MOST: Final = 1_000_000
SERVER_MOST: Final = 100_000
# Keeps elements, each given by server, how many lines it has, and these; returns how many lines were not. It is refused
# when Valkey is out of memory, for which pushes come first.
KEEP: Final = f"""#!lua
local left_out = 0
for place = 1, #ARGV, 3 do
  local server, lines = ARGV[place], tonumber(ARGV[place + 1])
  local shares = redis.call('HMGET', KEYS[2], server, 'all')
  if tonumber(shares[1] or 0) + lines > {SERVER_MOST} or tonumber(shares[2] or 0) + lines > {WAITING_MOST} then
    left_out = left_out + lines
  else
    redis.call('HINCRBY', KEYS[2], server, lines)
    redis.call('HINCRBY', KEYS[2], 'all', lines)
    redis.call('RPUSH', KEYS[1], ARGV[place + 2])
  end
end
return left_out
"""
# Milliseconds since 1970 between which a phone's clock is believed: 2001 and 2100. Before 2001 it counts seconds.
PHONE_FIRST, PHONE_LAST = 1_000_000_000_000, 4_102_444_800_000


class ReceiptLine(msgspec.Struct, array_like=True, gc=False):
    """One receipt. `id` makes it one, however often it is handed over; times are in unix milliseconds: `received_at` by
    the clock that all processes share, `phone_at` by the phone's, None where it said nothing that can be."""

    id: str
    received_at: int
    customer_id: int
    server_id: int
    ack_id: str
    type: str
    platform: str
    phone_at: int | None


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(ReceiptLine).decode_lines


def text(value: str) -> str:
    """A member of an ack as it is kept: no longer than the same of a push, and without what PostgreSQL refuses."""
    return value[:KEPT].replace("\0", "")


def phone_time(milliseconds: int) -> int | None:
    """What a phone says of its time, None for nonsense."""
    return milliseconds if PHONE_FIRST <= milliseconds < PHONE_LAST else None


def encode(line: ReceiptLine) -> bytes:
    """The line, with its end."""
    return _encode(line) + b"\n"


def decode(blob: bytes) -> list[ReceiptLine]:
    """The receipts of some lines. Raises msgspec.MsgspecError where one is none."""
    return _decode(blob)
