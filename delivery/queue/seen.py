"""Deduplication log: the last day's pushes in Valkey, for all processes, so that one that comes again is recognised.

A push is (server, device, ack_id, type), of which a keyed digest of eight bytes is kept. With three more for a time in
seconds (22 bits) and a state (2 bits) that is a record of eleven bytes; whoever comes later overrules what stands
before. The records stand one behind the other in a string for each hour of Valkey's clock, `seen:HOUR`. A batch's are
appended by a script in the transaction that enqueues the batch, so the ones are there if the other is, also after a
power cut; accepted is the state of nearly all, and that a push ended as anything but sent is appended with its
settlement. Nothing is looked for in Valkey: every web process follows the log into a table of its own
(delivery/ingest/seen_log.py) and says with a batch how far it has come, and how long the log is then with what it has
on its way itself. Only where others have written since does the script look, in what that is, and only then does it
reply; what came before it appends as nothing, so that the log is as long as expected. So of two that enqueue the same
push one is told of the other, and a push costs Valkey its eleven bytes.

Bounded: an hour's string lapses after a day, and the oldest goes where all together have more than records_most()
allows: by maxmemory that is an eighth of Valkey's memory; without one 34 million pushes, a day at 400 a second, and
380 MB, and nine bytes of each in every web process.

Invariants: a record is of a push that was enqueued, in the order of all. That a push has another one's digest is one in
500,000 million, and nobody without the key can bring it about.
"""

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from delivery.outcomes.verdict import Answer, Outcome, Verdict
from delivery.protocol.wire import Push
from delivery.queue import batch, shared_clock, valkey
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
# Bytes of a record; and in it of the digest's rest, by which it stands in a table of 65,536 (seen_table.py).
RECORD: Final = DIGEST + 3
NOTHING: Final = bytes(RECORD)
# Records for each two first bytes of a digest where Valkey's memory has no bound; where it is not known; the fewest.
MOST, MOST_UNKNOWN, FEWEST = 528, 64, 32
# Of Valkey's memory; and the bytes that one record for each two first bytes takes together.
SHARE: Final = 8
BYTES_A_RECORD: Final = 65_536 * RECORD
# Seconds of one string, and for which it is kept from its first record on.
SLOT: Final = 3600
SLOT_KEPT: Final = WINDOW + 2 * SLOT
SLOTS: Final = WINDOW // SLOT
# A time's seconds begin anew after so many; and by how many a clock may be ahead of another.
_TURN, _AHEAD = 1 << 22, 60

# KEYS: the batch's progress, the list that its message stands at the head of, its payload. ARGV: the hour that the
# process has come to, how many bytes of it it has read, and how many there are with what it has on its way; the records
# of the batch, their indexes in it, a byte each, and which of them it knows, a byte each, if it knows any; how many
# pushes the batch has; "first" where they surely are the first; "queue" where the message is marked for whoever takes
# it. Gives {hour, its bytes now, indexes of what came before, and for each hour since: hour, from which byte, bytes},
# nil where nothing came before and nobody else has written.
_NOTE: Final = f"""#!lua
local first, from, expected = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local records, indexes, known, total = ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7])
local hour = math.max(first, math.floor(redis.call('TIME')[1] / {SLOT}))
local key = 'seen:' .. hour
local length, others, again = redis.call('STRLEN', key), {{}}, ''
local function state_in(all, digest)
  local state, at = nil, string.find(all, digest, 1, true)
  while at do
    if (at - 1) % {RECORD} == 0 then state = string.byte(all, at + {RECORD - 1}) % 4 end
    at = string.find(all, digest, at + 1, true)
  end
  return state
end
if hour ~= first or length ~= expected then
  for each = math.max(first, hour - {SLOTS}), hour do
    local start = each == first and from or 0
    others[#others + 1], others[#others + 2] = each, start
    others[#others + 1] = redis.call('GETRANGE', 'seen:' .. each, start, -1)
  end
end
if ARGV[8] == '' and (known ~= '' or #others > 0) then
  local parts, kept = {{}}, {{}}
  for i = 3, #others, 3 do parts[#parts + 1] = others[i] end
  local all = table.concat(parts)
  for at = 1, #records, {RECORD} do
    local i = (at - 1) / {RECORD} + 1
    local state = state_in(all, string.sub(records, at, at + {DIGEST - 1}))
    if state == nil and known ~= '' and string.byte(known, i) == 1 then state = {ACCEPTED} end
    if state == nil or state == {FAILED} then
      kept[#kept + 1] = string.sub(records, at, at + {RECORD - 1})
    else
      again = again .. string.sub(indexes, i, i)
      kept[#kept + 1] = string.rep('\\0', {RECORD})
    end
  end
  records = table.concat(kept)
end
if records ~= '' and redis.call('APPEND', key, records) == #records then
  redis.call('EXPIRE', key, {SLOT_KEPT})
end
if #again == total then
  redis.call('LPOP', KEYS[2])
  redis.call('DEL', KEYS[1], KEYS[3])
  redis.call('HDEL', '{OPEN}', string.sub(KEYS[1], 6))
elseif again ~= '' then
  for i = 1, #again do redis.call('SETBIT', KEYS[1], 8 + string.byte(again, i), 1) end
  redis.call('EXPIRE', KEYS[1], {KEPT})
  local message, count = string.gsub(redis.call('LINDEX', KEYS[2], 0), '"redelivered":false', '"redelivered":true', 1)
  if count > 0 and ARGV[9] == 'queue' then redis.call('LSET', KEYS[2], 0, message) end
end
if again == '' and #others == 0 then return false end
return {{hour, length + #records, again, unpack(others)}}
"""
# ARGV: records of pushes that have ended as anything but sent.
_MARK: Final = f"""#!lua flags=allow-oom
local key = 'seen:' .. math.floor(redis.call('TIME')[1] / {SLOT})
if redis.call('APPEND', key, ARGV[1]) == #ARGV[1] then redis.call('EXPIRE', key, {SLOT_KEPT}) end
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
    """How many records there may be for each two first bytes of a digest, by Valkey's maxmemory in bytes.

    0: it has none, None: it is not known.
    """
    if not maxmemory:
        return MOST_UNKNOWN if maxmemory is None else MOST
    return max(FEWEST, min(MOST, maxmemory // SHARE // BYTES_A_RECORD))


def loading() -> tuple[str, ...]:
    """The command by which the server knows the script of noting()."""
    return ("SCRIPT", "LOAD", _NOTE)


def slot_key(slot: int) -> str:
    """The key of the records of an hour, by its number since 1970."""
    return f"seen:{slot}"


def stamp(seconds: float, state: int) -> bytes:
    """The three bytes of a record after the digest, for a time in unix seconds."""
    return ((int(seconds) % _TURN << 2) + state).to_bytes(3, "big")


def age_of(value: int, now: float) -> int:
    """Seconds since the time of a record, by the number in its last three bytes; `now` in unix seconds."""
    return max(0, (int(now) - (value >> 2) + _AHEAD) % _TURN - _AHEAD)


class Known(NamedTuple):
    """How far a process has read the log: the hour, its bytes that were read, and with what is on its way to it."""

    slot: int
    size: int
    expected: int


def noting(
    batch_id: str,
    key: str,
    where: Known,
    records: bytes,
    indexes: bytes,
    known: bytes,
    total: int,
    *,
    in_queue: bool,
    surely_first: bool,
) -> bytes:
    """The packed command that records a batch's pushes.

    It belongs in the transaction that has put the batch's message at the head of the list `key`: the pushes that were
    accepted before are marked as settled, and a message of nothing else is taken off again. records: of those of its
    `total` pushes that have a name; indexes: their places in it; known: b"", or 1 for each that is known to have come
    before, else 0. in_queue: the message is marked for whoever takes it; surely_first: it is published again, and
    whatever is known of its pushes is of themselves. Its reply: None, or a list (see the script).
    """
    keys = (batch.progress_key(batch_id), key, batch.payload_key(batch_id))
    read = (str(where.slot), str(where.size), str(where.expected))
    flags = ("first" if surely_first else "", "queue" if in_queue else "")
    return valkey.pack(("EVALSHA", _NOTE_SHA, "3", *keys, *read, records, indexes, known, str(total), *flags))


def state_of(verdict: Verdict) -> int:
    """The state of a push that has ended so."""
    if verdict.answer is Answer.OK:
        return ACCEPTED
    if verdict.answer is Answer.REMOVE:
        return GONE
    return UNCERTAIN if verdict.outcome is Outcome.UNKNOWN else FAILED


def marking(states: Iterable[tuple[bytes, int]]) -> bytes:
    """The packed command that appends the states of pushes, each a digest and its state; it may be repeated."""
    now = shared_clock.now()
    return valkey.pack(("EVAL", _MARK, "0", b"".join([digest + stamp(now, state) for digest, state in states])))


def progress(indexes: Iterable[int]) -> bytes:
    """A batch's progress (delivery/worker/settlement.py) in which the pushes with these indexes are settled."""
    bits = sum(1 << index for index in indexes)
    size = bits.bit_length() + 7 >> 3
    return b"\0" + bytes(int(f"{byte:08b}"[::-1], 2) for byte in bits.to_bytes(size, "little"))
