"""Dead letters: pushes that were told OK because they were queued, and then failed, kept for as long as a repeat helps.

A push has ended when it comes here: it has its row. It is kept sealed, as it stood in the due list, for what is left of
its lifetime and no longer than a day, so that staff can have it sent once more (a replay) when its cause is mended.
Bounded: MOST pushes and MOST_BYTES; what would be of use for the shortest goes first.

Keys: dead (sorted set: push by the unix milliseconds until which it is kept) · dead:letters (hash: push to what may be
shown of it, JSON, no content) · dead:items (hash: push to its sealed item) · dead:bytes (of those items). A push is
known by its trace. A replay stands in the due list under REPLAY and that trace.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec

from delivery.queue import due_list, valkey

DEAD: Final = "dead"
LETTERS: Final = "dead:letters"
ITEMS: Final = "dead:items"
BYTES: Final = "dead:bytes"
MOST: Final = 2_000
MOST_BYTES: Final = 16 * 1024 * 1024
# Seconds that a push is kept at most, and that it must be of use at least.
KEPT: Final = 24 * 3600
LEAST: Final = 60
REPLAY: Final = "r:"
# A process numbers its pushes from 1: a replay has the number of its push in a range that no process reaches.
_REPLAYED: Final = 1 << 63

_DROP: Final = f"""
local function drop(id)
  redis.call('DECRBY', '{BYTES}', redis.call('HSTRLEN', '{ITEMS}', id))
  redis.call('ZREM', '{DEAD}', id)
  redis.call('HDEL', '{LETTERS}', id)
  redis.call('HDEL', '{ITEMS}', id)
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function drop_old()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', '{DEAD}', '-inf', now, 'LIMIT', 0, 1000)) do drop(id) end
end
"""
# ARGV: the push, until when, its letter, its item.
_KEEP: Final = f"""#!lua
{_DROP}
drop_old()
local before = redis.call('HSTRLEN', '{ITEMS}', ARGV[1])
redis.call('HSET', '{ITEMS}', ARGV[1], ARGV[4])
redis.call('HSET', '{LETTERS}', ARGV[1], ARGV[3])
redis.call('INCRBY', '{BYTES}', string.len(ARGV[4]) - before)
redis.call('ZADD', '{DEAD}', ARGV[2], ARGV[1])
while redis.call('ZCARD', '{DEAD}') > {MOST} or tonumber(redis.call('GET', '{BYTES}')) > {MOST_BYTES} do
  drop(redis.call('ZRANGE', '{DEAD}', 0, 0)[1])
end
return 1
"""
# ARGV: pushes. Gives those of them that were there.
_REPLAY: Final = f"""#!lua
{_DROP}
{due_list.PUT}
drop_old()
local found = {{}}
for _, id in ipairs(ARGV) do
  local sealed = redis.call('HGET', '{ITEMS}', id)
  if sealed then
    put('{REPLAY}' .. id, 1, sealed)
    drop(id)
    table.insert(found, id)
  end
end
return found
"""
_DISCARD: Final = f"""#!lua
{_DROP}
drop_old()
local found = {{}}
for _, id in ipairs(ARGV) do
  if redis.call('HEXISTS', '{ITEMS}', id) == 1 then
    drop(id)
    table.insert(found, id)
  end
end
return found
"""


class Letter(msgspec.Struct, gc=False, array_like=True):
    """What is shown of a dead letter: its trace, ids of customer and server, its type, when it was accepted and when it
    ended (unix seconds), outcome and code, how many attempts, and until when it is kept (unix seconds)."""

    trace: str
    customer: int
    server: int
    type: str
    at: float
    ended_at: float
    outcome: str
    code: str
    attempts: int
    until: float


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Letter).decode


def keeping(letter: Letter, sealed: bytes) -> bytes:
    """The packed command that keeps a push; it may be repeated."""
    until = str(int(letter.until * 1000))
    return valkey.pack(("EVAL", _KEEP, "0", letter.trace, until, _encode(letter), sealed))


def read(replies: Iterable[bytes], now: float) -> list[Letter]:
    """The letters that are kept at a time (unix seconds), by the values of LETTERS; the latest first."""
    found = (_decode(reply) for reply in replies)
    return sorted((letter for letter in found if letter.until > now), key=lambda each: each.ended_at, reverse=True)


def replaying(traces: Sequence[str]) -> tuple[Any, ...]:
    """The command that has pushes sent once more; it gives the traces of those that were kept."""
    return ("EVAL", _REPLAY, "0", *traces)


def discarding(traces: Sequence[str]) -> tuple[Any, ...]:
    """The command that forgets pushes; it gives the traces of those that were kept."""
    return ("EVAL", _DISCARD, "0", *traces)


def is_replay(claimed: str) -> bool:
    """Whether a push of the due list is a replay, by its name there."""
    return claimed.startswith(REPLAY)


def trace_of(claimed: str) -> str:
    """The trace of a push of the due list, by its name there: of a replay that of its push."""
    return claimed.removeprefix(REPLAY)


def replay_trace(trace: str) -> str:
    """The trace of a replay: of the same web process, with a number of its own."""
    process, _, number = trace.rpartition("-")
    return f"{process}-{_REPLAYED | int(number, 16):x}"
