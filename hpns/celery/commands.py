"""Commands of the reliable queue: atomic scripts that take a message, move it on, and take over from workers that died.

BLMOVE moves a message from its queue to the processing list of a worker (https://valkey.io/commands/lmove/, "Reliable
queue"), where it stays until it is acknowledged. Invariants: a message is in exactly one list; each command that takes
one out of a processing list may be repeated, and changes nothing then. A script writes the copy before it removes the
original, since what it did before an error is not undone.

Keys: QUEUE · taken:WORKER:QUEUE (processing list) · unreadable (messages put aside) · workers (sorted set: worker by
its last heartbeat, unix seconds) · workers:failing (hash: worker to what keeps it from delivering). The clock is the
server's.
"""

from typing import Any, Final

from delivery.queue import valkey

# A worker without a heartbeat for so long counts as dead, which each heartbeat looks for. Together with the restart of
# the batch this keeps the pushes of a killed worker going within 15 s.
LEASE_SECONDS, HEARTBEAT_SECONDS = 6, 2
# For how long one BLMOVE blocks at the server. A worker that is held still, or cut off, goes on consuming for so long.
BLOCK_SECONDS = 5
# Messages that are put aside: how many of the latest are kept, and how many bytes of each (a batch inside its message
# has at most 9 kB).
UNREADABLE: Final = "unreadable"
UNREADABLE_MOST, UNREADABLE_BYTES = 100, 65_536
WORKERS, FAILING = "workers", "workers:failing"

# A message that goes back to its queue says how often it has, and so is never the same bytes again: what is sent twice
# to take it off a list cannot take it off when it has come back. Celery asks only whether that is not zero.
_MARK: Final = """
local function marked(item)
  local message, count = string.gsub(item, '"redelivered":(%w+)', function(before)
    return '"redelivered":' .. (tonumber(before) or (before == 'true' and 1 or 0)) + 1
  end, 1)
  if count == 0 then message = string.gsub(item, '"delivery_info": ?{', '%0"redelivered":1,', 1) end
  return message
end
"""

# Requeues the processing lists of workers whose lease has expired, at the heads of their queues. A worker is forgotten
# only when it cannot consume any more: until then a BLMOVE that it has sent may still come about. ARGV: a worker that
# gives its lease up or "", then the queues.
REQUEUE_EXPIRED: Final = f"""#!lua flags=allow-oom
{_MARK}
local now = tonumber(redis.call('TIME')[1])
if ARGV[1] ~= '' then redis.call('ZADD', '{WORKERS}', now - {LEASE_SECONDS} - 1, ARGV[1]) end
local requeued = 0
-- A heartbeat that is to come: the clock was set back. Whoever lives has renewed it by the time that this lease lapses.
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', '{WORKERS}', '(' .. now, '+inf')) do
  redis.call('ZADD', '{WORKERS}', now, worker)
end
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', '{WORKERS}', '-inf', '(' .. (now - {LEASE_SECONDS}))) do
  for i = 2, #ARGV do
    local taken = 'taken:' .. worker .. ':' .. ARGV[i]
    local item = redis.call('LINDEX', taken, 0)
    while item do
      redis.call('RPUSH', ARGV[i], marked(item))
      redis.call('LPOP', taken)
      requeued = requeued + 1
      item = redis.call('LINDEX', taken, 0)
    end
  end
end
local forgotten = now - {LEASE_SECONDS + BLOCK_SECONDS + 5}
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', '{WORKERS}', '-inf', forgotten)) do
  redis.call('HDEL', '{FAILING}', worker)
end
redis.call('ZREMRANGEBYSCORE', '{WORKERS}', '-inf', forgotten)
return requeued
"""
# Renews a lease. ARGV: the worker, what keeps it from delivering ("": nothing).
HEARTBEAT: Final = f"""#!lua flags=allow-oom
local worker, state = ARGV[1], ARGV[2]
if state == '' then redis.call('HDEL', '{FAILING}', worker) else redis.call('HSET', '{FAILING}', worker, state) end
return redis.call('ZADD', '{WORKERS}', redis.call('TIME')[1], worker)
"""
# The same as BLMOVE, without blocking: Valkey refuses BLMOVE when memory is full, and then consuming is what frees it.
MOVE: Final = "#!lua flags=allow-oom\nreturn redis.call('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'LEFT')"
# Both give the number of messages that were in the processing list, 0 or 1. KEYS: it, and the queue or UNREADABLE.
REQUEUE: Final = f"""#!lua flags=allow-oom
{_MARK}
if not redis.call('LPOS', KEYS[1], ARGV[1]) then return 0 end
redis.call('LPUSH', KEYS[2], marked(ARGV[1]))
return redis.call('LREM', KEYS[1], 1, ARGV[1])
"""
PUT_ASIDE: Final = f"""#!lua flags=allow-oom
if not redis.call('LPOS', KEYS[1], ARGV[1]) then return 0 end
redis.call('LPUSH', KEYS[2], string.sub(ARGV[1], 1, {UNREADABLE_BYTES}))
redis.call('LTRIM', KEYS[2], 0, {UNREADABLE_MOST - 1})
return redis.call('LREM', KEYS[1], 1, ARGV[1])
"""


class CommandRefused(ConnectionError):
    """The server has answered a command with an error: it is there, and not of use."""


def processing_list(worker: str, queue: str) -> str:
    """The key of a worker's processing list for a queue."""
    return f"taken:{worker}:{queue}"


def acknowledgement(key: str, item: bytes) -> bytes:
    """The packed command that removes a message from the processing list `key`."""
    return valkey.pack(("LREM", key, "1", item))


def requeueing(key: str, queue: str, item: bytes) -> bytes:
    """The packed command that moves a message from the processing list `key` to the end of its queue, marked so."""
    return valkey.pack(("EVAL", REQUEUE, "2", key, queue, item))


def putting_aside(key: str, item: bytes) -> bytes:
    """The packed command that moves a message from the processing list `key` to those that nobody can read."""
    return valkey.pack(("EVAL", PUT_ASIDE, "2", key, UNREADABLE, item))


async def ask(link: valkey.Link, *command: Any) -> Any:
    """Send a command and return its reply. Raises CommandRefused for an error reply, else ConnectionError."""
    reply = await link.execute(*command)
    if isinstance(reply, Exception):
        raise CommandRefused(str(reply))
    return reply
