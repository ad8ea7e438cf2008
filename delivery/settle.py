"""The one step in which ended pushes leave the queue: rows for the log, answers for the waiting server, progress.

A script in Valkey does all of it atomically and once per push, whoever calls it and however often: a worker that was
taken for dead and the one that took its batch over may both settle it, and a settlement whose answer got lost is
simply made again. Invariant: a push has its row and its answer, or neither.

Keys: done:BATCH lapses after KEPT seconds. Its first byte is "*" when the whole batch was settled at once; else bit
8 + i tells that push i is settled.
"""

import hashlib
from collections.abc import Sequence

from delivery import log, valkey

# Seconds that progress is remembered: far longer than it takes to notice that a worker died.
KEPT = 300
# Seconds after which answers that no process fetches go away.
UNFETCHED = 60

SCRIPT = f"""
local done, rows, reply, payload = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
if ARGV[1] == 'all' then
  if not redis.call('SET', done, '*', 'NX', 'EX', {KEPT}) then return 0 end
  redis.call('RPUSH', rows, ARGV[4])
else
  local before = redis.call('GET', done)
  if before and string.sub(before, 1, 1) == '*' then return 1 end
  for i = 4, #ARGV, 2 do
    if redis.call('SETBIT', done, 8 + ARGV[i], 1) == 0 then redis.call('RPUSH', rows, ARGV[i + 1]) end
  end
  redis.call('EXPIRE', done, {KEPT})
end
redis.call('RPUSH', reply, ARGV[3])
redis.call('EXPIRE', reply, {UNFETCHED})
if ARGV[2] == 'last' then redis.call('DEL', payload) end
return 1
"""
SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


def command(
    batch_id: str, rows: Sequence[tuple[int, bytes]], reply: bytes, *, whole: bool, last: bool, by_name: bool = True
) -> bytes:
    """The packed command that settles `rows` (index, line of the log) of a batch with the results in `reply`.

    whole: these are all pushes of the batch, and nothing of it has been settled before; the answer 0 says that
    something had, and the caller repeats with whole=False. last: nothing of the batch is left, its payload goes.
    by_name: refer to the script by its hash; the answer NOSCRIPT means that it has to be sent in full once.
    """
    ingest = batch_id.partition(":")[0]
    keys = (f"done:{batch_id}", log.ROWS, f"reply:{ingest}", f"batch:{batch_id}")
    end = "last" if last else ""
    head = ("EVALSHA", SHA) if by_name else ("EVAL", SCRIPT)
    if whole:
        return valkey.pack((*head, "4", *keys, "all", end, reply, b"".join([row for _, row in rows])))
    pairs = [part for index, row in rows for part in (str(index), row)]
    return valkey.pack((*head, "4", *keys, "some", end, reply, *pairs))


def settled_before(done: bytes | None, index: int) -> bool:
    """Whether push `index` was settled, going by the value of done:BATCH (None: the key is not there)."""
    if not done:
        return False
    if done[:1] == b"*":
        return True
    bit = 8 + index
    return bit >> 3 < len(done) and bool(done[bit >> 3] & (128 >> (bit & 7)))
