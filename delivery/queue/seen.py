"""Deduplication store: the last day's pushes in Valkey, for all processes, so that one that comes again is recognised.

A push is (server, device, ack_id, type), of which a keyed digest of eight bytes is kept. The first two bytes choose one
of 65,536 strings, `seen:XX`, the other six stand in it with the time of acceptance in seconds (22 bits) and a state
(2 bits): nine bytes a push. A record is written in the transaction that enqueues its batch, so the one is there if the
other is, also after a power cut, and no command is sent for it alone. Accepted is the state of nearly all; that a push
ended as anything but sent is written with its settlement.

Bounded: where a string has its most records the oldest quarter goes. By maxmemory that is an eighth of Valkey's memory
at most (records_most()); without one 528 records, which are 26 to 35 million pushes, a day at 300 a second, and at most
some 470 MB: nine bytes each, and half as much again for what Valkey allocates ahead.

Invariants: a record is of a push that was enqueued; of two that enqueue the same push one is told of the other. That a
push has another one's digest is one in 500,000 million, and nobody without the key can bring it about.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from delivery.outcomes.verdict import Answer, Outcome, Verdict
from delivery.protocol.wire import Push
from delivery.queue import batch, valkey
from delivery.queue.ledger import OPEN

# Seconds for which a push is remembered, where there is room.
WINDOW: Final = 24 * 3600
# States: on its way or sent; its device is dead; it failed and may yet arrive; it failed, and may be tried anew.
ACCEPTED, GONE, UNCERTAIN, FAILED = range(4)
# Bytes of a digest; in place of one for a push that is not to be recognised.
DIGEST: Final = 8
NONE: Final = bytes(DIGEST)
# Seconds for which it is kept which pushes of a batch came again: as long as the batch's message may wait.
KEPT: Final = 8 * 24 * 3600
# Records in a string where Valkey's memory has no bound; where it is not known; the fewest of all.
MOST, MOST_UNKNOWN, FEWEST = 528, 64, 32
# Of Valkey's memory; and the bytes that a record of every string takes together.
SHARE: Final = 8
BYTES_A_RECORD: Final = 65_536 * 14

_RECORD: Final = """
local function find(known, name)
  local at = string.find(known, name, 1, true)
  while at and (at - 1) % 9 ~= 0 do at = string.find(known, name, at + 1, true) end
  return at
end
local function packed(seconds, state)
  local value = (seconds % 4194304) * 4 + state
  return string.char(math.floor(value / 65536), math.floor(value / 256) % 256, value % 256)
end
local function read(known, at)
  local a, b, c = string.byte(known, at + 6, at + 8)
  local value = a * 65536 + b * 256 + c
  return math.floor(value / 4), value % 4
end
"""
# Gives {index, state, age, ...} of what was accepted before, nil where nothing was. KEYS: the batch's progress, the
# list that its message stands at the head of, its payload. ARGV: digests, records in a string, "known" where the pushes
# are surely the first.
_NOTE: Final = f"""#!lua
{_RECORD}
local digests, most, known_first = ARGV[1], tonumber(ARGV[2]), ARGV[3] ~= ''
local now, none, again = tonumber(redis.call('TIME')[1]), string.rep('\\0', {DIGEST}), nil
local fresh = packed(now, {ACCEPTED})
for from = 1, #digests, {DIGEST} do
  local digest = string.sub(digests, from, from + {DIGEST - 1})
  if digest ~= none then
    local key, name = 'seen:' .. string.sub(digest, 1, 2), string.sub(digest, 3)
    local known = redis.call('GET', key) or ''
    local at = find(known, name)
    if at then
      local seconds, state = read(known, at)
      local age = (now - seconds) % 4194304
      if not known_first and state ~= {FAILED} and age < {WINDOW} then
        again = again or {{}}
        local index = (from - 1) / {DIGEST}
        again[#again + 1], again[#again + 2], again[#again + 3] = index, state, age
        redis.call('SETBIT', KEYS[1], 8 + index, 1)
      elseif not known_first or state == {FAILED} then
        redis.call('SETRANGE', key, at + 5, fresh)
      end
    elseif #known >= most * 9 then
      redis.call('SET', key, string.sub(known, math.floor(most / 4) * 9 + 1) .. name .. fresh)
    else
      redis.call('APPEND', key, name .. fresh)
    end
  end
end
if again then
  if #again / 3 == #digests / {DIGEST} then
    redis.call('LPOP', KEYS[2])
    redis.call('DEL', KEYS[1], KEYS[3])
    redis.call('HDEL', '{OPEN}', string.sub(KEYS[1], 6))
  else
    redis.call('EXPIRE', KEYS[1], {KEPT})
    local message, count = string.gsub(redis.call('LINDEX', KEYS[2], 0), '"redelivered":false', '"redelivered":true', 1)
    if count > 0 and ARGV[4] == 'queue' then redis.call('LSET', KEYS[2], 0, message) end
  end
end
return again or false
"""
# Gives {state, age, ...} for each digest, -1 for one that is not known.
_LOOK: Final = f"""#!lua flags=no-writes
{_RECORD}
local now, found = tonumber(redis.call('TIME')[1]), {{}}
for from = 1, #ARGV[1], {DIGEST} do
  local known = redis.call('GET', 'seen:' .. string.sub(ARGV[1], from, from + 1)) or ''
  local at, seconds, state = find(known, string.sub(ARGV[1], from + 2, from + {DIGEST - 1})), now, -1
  if at then seconds, state = read(known, at) end
  found[#found + 1], found[#found + 2] = state, (now - seconds) % 4194304
end
return found
"""
# ARGV: of each push its digest and the digit of its state.
_MARK: Final = f"""#!lua flags=allow-oom
{_RECORD}
for from = 1, #ARGV[1], {DIGEST + 1} do
  local key = 'seen:' .. string.sub(ARGV[1], from, from + 1)
  local known = redis.call('GET', key) or ''
  local at = find(known, string.sub(ARGV[1], from + 2, from + {DIGEST - 1}))
  if at then
    local seconds = read(known, at)
    local state = tonumber(string.sub(ARGV[1], from + {DIGEST}, from + {DIGEST}))
    redis.call('SETRANGE', key, at + 5, packed(seconds, state))
  end
end
"""
_NOTE_SHA: Final = hashlib.sha1(_NOTE.encode(), usedforsecurity=False).hexdigest()


class Repeat(NamedTuple):
    """A push of a batch that was accepted before: its place, the first one's state, and seconds since then."""

    place: int
    state: int
    age: int


@lru_cache(maxsize=8)
def _keyed(hash_key: bytes) -> "hashlib.blake2b":
    """The hash with the key in it already: to copy it costs half of what it does to make it."""
    return hashlib.blake2b(digest_size=DIGEST, key=hash_key[:64], person=b"hpns push")


def digest(customer: int, server: int, push: Push, hash_key: bytes) -> bytes:
    """The keyed digest of (server, device, ack_id, type); NONE for a test, and for a push without an ack_id.

    server: our id of it; the same push of two customers, or from two servers behind one key, is two.
    """
    if not push.ack_id or push.type == "test":
        return NONE
    hashed = _keyed(hash_key).copy()
    name = f"{customer}\0{server}\0{push.server_id}\0{push.device_id}\0{push.ack_id}\0{push.type}"
    hashed.update(name.encode(errors="surrogatepass"))
    return hashed.digest()


def records_most(maxmemory: int | None) -> int:
    """How many records a string may have, by Valkey's maxmemory in bytes: 0 for none, None where it is not known."""
    if not maxmemory:
        return MOST_UNKNOWN if maxmemory is None else MOST
    return max(FEWEST, min(MOST, maxmemory // SHARE // BYTES_A_RECORD))


def loading() -> tuple[str, ...]:
    """The command by which the server knows the script of noting()."""
    return ("SCRIPT", "LOAD", _NOTE)


def noting(
    batch_id: str, digests: Sequence[bytes], key: str, most: int, *, in_queue: bool, surely_first: bool
) -> bytes:
    """The packed command that records a batch's pushes; "" where there is nothing to record.

    It belongs in the transaction that has put the batch's message at the head of the list `key`: the pushes that were
    accepted before are marked as settled, and a message of nothing else is taken off again. in_queue: the message is
    marked for whoever takes it; surely_first: it is published again, and whatever is known of its pushes is of
    themselves. Its reply: repeats().
    """
    joined = b"".join(digests)
    if not joined.strip(b"\0"):
        return b""
    keys = (batch.progress_key(batch_id), key, batch.payload_key(batch_id))
    known, where = "known" if surely_first else "", "queue" if in_queue else ""
    return valkey.pack(("EVALSHA", _NOTE_SHA, "3", *keys, joined, str(most), known, where))


def repeats(reply: Any) -> list[Repeat]:
    """Which pushes of a batch were accepted before, by the reply to noting(); none where the server refused it."""
    if not isinstance(reply, list):
        return []
    return [Repeat(*reply[at : at + 3]) for at in range(0, len(reply), 3)]


def looking(digests: Iterable[bytes]) -> tuple[Any, ...]:
    """The command whose reply is the state (-1: not known) and the age in seconds of each of these, in one list."""
    return ("EVAL", _LOOK, "0", b"".join(digests))


def state_of(verdict: Verdict) -> int:
    """The state of a push that has ended so."""
    if verdict.answer is Answer.OK:
        return ACCEPTED
    if verdict.answer is Answer.REMOVE:
        return GONE
    return UNCERTAIN if verdict.outcome is Outcome.UNKNOWN else FAILED


def marking(states: Iterable[tuple[bytes, int]]) -> bytes:
    """The packed command that writes the states of pushes, each a digest and its state; it may be repeated."""
    return valkey.pack(("EVAL", _MARK, "0", b"".join(b"%b%d" % each for each in states)))


def progress(indexes: Iterable[int]) -> bytes:
    """A batch's progress (delivery/worker/settlement.py) in which the pushes with these indexes are settled."""
    bits = sum(1 << index for index in indexes)
    size = bits.bit_length() + 7 >> 3
    return b"\0" + bytes(int(f"{byte:08b}"[::-1], 2) for byte in bits.to_bytes(size, "little"))
