"""Due list: the pushes that are tried again later, each by its time, durable in Valkey until its one row is written.

A push comes here in the script that settles it out of its batch (delivery/worker/settlement.py), and leaves it in the
script that writes its row. Whoever sends it claims it, which moves its time on by CLAIM_SECONDS (a visibility timeout,
as queues call it): when that process dies, somebody else claims it then. Invariants: a push is in its batch or here,
never in neither; it has its row once; a claim that has lapsed changes nothing but that row.

In the ledger (delivery/queue/ledger.py) a push that waits here is in flight: its batch is struck out when the last of
it has ended or come here. What is here and cannot be sent, since its item is gone or was altered, is lost.

Keys: due (sorted set: push by its time, unix milliseconds by the server's clock) · due:items (hash: push to its sealed
item) · due:bytes (of those items) · due:unreadable (items that no key opens). A push is known by its trace.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from delivery.queue import batch, ledger, valkey

DUE: Final = "due"
ITEMS: Final = "due:items"
BYTES: Final = "due:bytes"
UNREADABLE: Final = "due:unreadable"
UNREADABLE_MOST: Final = 100
# Longer than whoever has claimed a push needs to send it and to settle it; so long it waits when that process dies.
CLAIM_SECONDS: Final = 20
# Seconds after which answers that no process fetches go away.
UNFETCHED: Final = 60
# The part of Valkey's memory that the list may take, and what it may take where that has no bound.
PART: Final = 0.3
MOST_BYTES: Final = 512 * 1024 * 1024

# Lua: a push comes to the list, or is there already and gets another time. The items first: what stands in the sorted
# set alone would be nothing.
PUT: Final = f"""
local function put(id, due, sealed)
  local before = redis.call('HSTRLEN', '{ITEMS}', id)
  redis.call('HSET', '{ITEMS}', id, sealed)
  redis.call('INCRBY', '{BYTES}', string.len(sealed) - before)
  redis.call('ZADD', '{DUE}', due, id)
end
"""
# ARGV: how many at most, and how many bytes. Gives the length of the list, the claim, and each push with its item: ""
# for one that has none, and has left the list for that.
CLAIM: Final = f"""#!lua flags=allow-oom
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local claim = string.format('%.0f', now + {CLAIM_SECONDS * 1000})
local claimed, bytes = {{redis.call('ZCARD', '{DUE}'), claim}}, 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', '{DUE}', '-inf', now, 'LIMIT', 0, ARGV[1])) do
  local sealed = redis.call('HGET', '{ITEMS}', id)
  if not sealed then
    redis.call('ZREM', '{DUE}', id)
    redis.call('HINCRBY', '{ledger.STATE}', 'lost', 1)
    table.insert(claimed, id)
    table.insert(claimed, '')
  else
    bytes = bytes + string.len(sealed)
    if bytes > tonumber(ARGV[2]) and #claimed > 2 then break end
    redis.call('ZADD', '{DUE}', claim, id)
    table.insert(claimed, id)
    table.insert(claimed, sealed)
  end
end
return claimed
"""
# The mark of a batch (delivery/queue/told.py), '' for none.
_MARK: Final = """
local function mark_of(done)
  local mark = redis.call('GETRANGE', done, 0, 0)
  return mark ~= '\\0' and mark ~= '*' and mark or ''
end
"""
# KEYS: the progress of the batch that it came in. ARGV: the push, its claim, its new time, its item, the mark that the
# item has. Gives 0 where the claim has lapsed: it is somebody else's; and the batch's mark where the item has none.
POSTPONE: Final = f"""#!lua flags=allow-oom
{PUT}
{_MARK}
if redis.call('ZSCORE', '{DUE}', ARGV[1]) ~= ARGV[2] then return 0 end
local mark = mark_of(KEYS[1])
if ARGV[5] == '' and mark ~= '' then return mark end
put(ARGV[1], ARGV[3], ARGV[4])
return 1
"""
# KEYS: the progress of the batch that it came in, the list of results of that batch's process, the rows of the log.
# ARGV: the push, its row, its result or "", the mark that the row goes by. Gives another mark where the batch has one,
# and changes nothing.
END: Final = f"""#!lua flags=allow-oom
{_MARK}
local before = redis.call('HSTRLEN', '{ITEMS}', ARGV[1])
if before == 0 then return 1 end
local mark = mark_of(KEYS[1])
if mark ~= '' and mark ~= ARGV[4] then return mark end
redis.call('RPUSH', KEYS[3], ARGV[2])
if ARGV[3] ~= '' then
  redis.call('RPUSH', KEYS[2], ARGV[3])
  redis.call('EXPIRE', KEYS[2], {UNFETCHED})
end
redis.call('ZREM', '{DUE}', ARGV[1])
redis.call('HDEL', '{ITEMS}', ARGV[1])
redis.call('DECRBY', '{BYTES}', before)
return 1
"""
# ARGV: the first new time, milliseconds between two, then pushes each with the time that it must have still.
WAKE: Final = f"""#!lua flags=allow-oom
for i = 3, #ARGV, 2 do
  local due = ARGV[1] + ARGV[2] * (i - 3) / 2
  if redis.call('ZSCORE', '{DUE}', ARGV[i]) == ARGV[i + 1] and due < tonumber(ARGV[i + 1]) then
    redis.call('ZADD', '{DUE}', string.format('%.0f', due), ARGV[i])
  end
end
return 1
"""
# KEYS: the rows of the log. ARGV: the push, its claim, its row.
PUT_ASIDE: Final = f"""#!lua flags=allow-oom
if redis.call('ZSCORE', '{DUE}', ARGV[1]) ~= ARGV[2] then return 0 end
local sealed = redis.call('HGET', '{ITEMS}', ARGV[1])
redis.call('LPUSH', '{UNREADABLE}', sealed)
redis.call('LTRIM', '{UNREADABLE}', 0, {UNREADABLE_MOST - 1})
redis.call('ZREM', '{DUE}', ARGV[1])
redis.call('HDEL', '{ITEMS}', ARGV[1])
redis.call('DECRBY', '{BYTES}', string.len(sealed))
if ARGV[3] ~= '' then redis.call('RPUSH', KEYS[1], ARGV[3]) end
redis.call('HINCRBY', '{ledger.STATE}', 'lost', 1)
return 1
"""
# ARGV: pushes. Those that have an item and no time are due at once; gives how many that were.
RELIST: Final = f"""#!lua flags=allow-oom
local found = 0
for _, id in ipairs(ARGV) do
  if redis.call('HEXISTS', '{ITEMS}', id) == 1 then found = found + redis.call('ZADD', '{DUE}', 'NX', 1, id) end
end
return found
"""
# ARGV: how many at most. Gives the length of the list, and each of the next pushes with what stands before its seal.
HEADS: Final = f"""#!lua flags=no-writes
local found = {{redis.call('ZCARD', '{DUE}')}}
for _, id in ipairs(redis.call('ZRANGE', '{DUE}', 0, ARGV[1] - 1)) do
  local sealed = redis.call('HGET', '{ITEMS}', id)
  local stop = sealed and string.find(sealed, '\\0', 1, true)
  if stop then
    table.insert(found, id)
    table.insert(found, string.sub(sealed, 1, stop - 1))
  end
end
return found
"""


class Claim(NamedTuple):
    """One push of the list that somebody has in hands.

    id: its trace; claim: what its time was set to, by which the claim is known; batch_id, place: where its web process
    waits for its result; mark: of that batch, as far as is known.
    """

    id: str
    claim: bytes
    batch_id: str
    place: int
    mark: bytes = b""


def claiming(most: int, most_bytes: int) -> tuple[Any, ...]:
    """The command that claims what is due; see claimed() for its reply."""
    return "EVAL", CLAIM, "0", str(most), str(most_bytes)


def claimed(reply: Sequence[Any]) -> tuple[int, bytes, list[tuple[str, bytes]]]:
    """What a reply to claiming() says: the length of the list, the claim, and the pushes with their sealed items."""
    length, claim, *rest = reply
    return length, claim, [(id_.decode(), sealed) for id_, sealed in zip(rest[::2], rest[1::2], strict=True)]


def reading_heads(most: int) -> tuple[Any, ...]:
    """The command that reads whose the next pushes are; see heads_read() for its reply."""
    return "EVAL", HEADS, "0", str(most)


def heads_read(reply: Sequence[Any]) -> tuple[int, list[tuple[str, bytes]]]:
    """What a reply to reading_heads() says: the length of the list, and the names of pushes with their heads."""
    length, *rest = reply
    return length, [(id_.decode(), head) for id_, head in zip(rest[::2], rest[1::2], strict=True)]


def postponing(claim: Claim, due_ms: int, sealed: bytes) -> bytes:
    """The packed command that gives a claimed push its next time, with the attempts that it has now."""
    done = batch.progress_key(claim.batch_id)
    return valkey.pack(("EVAL", POSTPONE, "1", done, claim.id, claim.claim, str(due_ms), sealed, claim.mark))


def waking(pushes: Sequence[tuple[str, int]], first_ms: int, rate: int) -> bytes:
    """The packed command that gives pushes (each with its time, unix milliseconds) an earlier one, so many a second
    from a moment on, where nobody has claimed them or given them another."""
    parts = [part for name, due_ms in pushes for part in (name, str(due_ms))]
    return valkey.pack(("EVAL", WAKE, "0", str(first_ms), str(1000 / rate), *parts))


def ending(claim: Claim, rows: str, row: bytes, reply: bytes) -> bytes:
    """The packed command that ends a push: its row for the list `rows`, its result where somebody may still wait."""
    keys = (batch.progress_key(claim.batch_id), batch.reply_key(claim.batch_id.partition(":")[0]), rows)
    return valkey.pack(("EVAL", END, "3", *keys, claim.id, row, reply, claim.mark))


def putting_aside(claim: Claim, rows: str, row: bytes) -> bytes:
    """The packed command that takes an item that no key opens out of the way: it is lost, by its row for the list
    `rows`, which is empty where nobody knows whose it is."""
    return valkey.pack(("EVAL", PUT_ASIDE, "1", rows, claim.id, claim.claim, row))


def relisting(ids: Sequence[bytes]) -> tuple[Any, ...]:
    """The command that gives those of these pushes a time, at once, that have an item and none; it says how many."""
    return ("EVAL", RELIST, "0", *ids)
