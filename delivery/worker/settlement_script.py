"""The script that settles pushes of a batch, and the command that calls it. Pure.

See delivery/worker/settlement.py for what it is for, and for the keys.
"""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from delivery.log.rows import ROWS
from delivery.queue import batch, due_list, valkey
from delivery.queue.ledger import OPEN
from delivery.queue.receipt import Receipt

# Seconds that progress is remembered: far longer than it takes to notice that a worker died.
KEPT = 300
# The same while pushes of the batch are left: as long as its payload may wait for a worker, or those that were settled
# before an outage would be sent again after it. And where the message was no longer ours to acknowledge: it is on its
# way to another worker, in whatever time.
BEGUN = 8 * 24 * 3600
# The same when all is settled, and something has gone to the due list: as long as the first pause there takes, mostly.
# What has been tried again from there knows the mark by itself.
DEFERRED = 3600
# Seconds after which answers that no process fetches go away.
UNFETCHED = 60

# It frees more than it takes, so it must work when memory is full (allow-oom): else nothing would ever drain.
SCRIPT = f"""#!lua flags=allow-oom
{due_list.PUT}
local done, rows, reply, payload, taken = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
if ARGV[1] == 'all' then
  if not redis.call('SET', done, '*', 'NX', 'EX', {KEPT}) then return 0 end
  redis.call('RPUSH', rows, ARGV[6])
else
  local before = redis.call('GET', done)
  if before and string.sub(before, 1, 1) == '*' then
    if taken then redis.call('LREM', taken, 1, ARGV[4]) end
    if ARGV[2] == 'last' then redis.call('HDEL', '{OPEN}', string.sub(done, 6)) end
    return 1
  end
  local mark = before and string.sub(before, 1, 1)
  if mark and mark ~= '\\0' and mark ~= ARGV[5] then return mark end
  local deferred = ARGV[1] == 'deferred'
  for i = 6, #ARGV, deferred and 4 or 2 do
    if redis.call('SETBIT', done, 8 + ARGV[i], 1) == 0 then
      if deferred and ARGV[i + 2] ~= '' then
        put(ARGV[i + 1], ARGV[i + 2], ARGV[i + 3])
      else
        redis.call('RPUSH', rows, ARGV[i + 1])
      end
    end
  end
  redis.call('EXPIRE', done, ARGV[2] ~= 'last' and {BEGUN} or deferred and {DEFERRED} or {KEPT})
end
if ARGV[3] ~= '' then
  redis.call('RPUSH', reply, ARGV[3])
  redis.call('EXPIRE', reply, {UNFETCHED})
end
if ARGV[2] == 'last' then
  redis.call('DEL', payload)
  redis.call('HDEL', '{OPEN}', string.sub(done, 6))
end
if taken and redis.call('LREM', taken, 1, ARGV[4]) == 0 then redis.call('EXPIRE', done, {BEGUN}) end
return 1
"""
SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()


class Deferred(NamedTuple):
    """A push of a batch that is tried again later: its place in it, its trace, when (unix ms), and its sealed item."""

    place: int
    id: str
    due_ms: int
    sealed: bytes


def command(
    batch_id: str,
    rows: Sequence[tuple[int, bytes]],
    reply: bytes,
    *,
    whole: bool,
    last: bool,
    receipt: Receipt | None = None,
    by_name: bool = True,
    mark: bytes = b"",
    deferred: Sequence[Deferred] = (),
    keep: bool = False,
) -> bytes:
    """The packed command that settles `rows` (index, line of the log) of a batch with the results in `reply`; none are
    left for anybody if it is empty.

    whole: these are all pushes of the batch, and nothing of it has been settled before; the answer 0 says that
    something had, and the caller repeats with whole=False. last: nothing of the batch is left, its payload goes, and
    its message, if there is a receipt for it. by_name: refer to the script by its hash; the answer NOSCRIPT means that
    it has to be sent in full once. mark: what the rows go by; the answer is another mark where the batch has one.
    deferred: what goes to the due list instead. keep: some of the batch has gone there, so that its progress, and its
    mark, are kept for as long as that takes.
    """
    ingest = batch_id.partition(":")[0]
    keys = [batch.progress_key(batch_id), ROWS, batch.reply_key(ingest), batch.payload_key(batch_id)]
    item = b""
    if last and receipt is not None:
        keys.append(receipt.key)
        item = receipt.item
    head = ("EVALSHA", SHA) if by_name else ("EVAL", SCRIPT)
    how = "all" if whole else "deferred" if deferred or keep else "some"
    common = (*head, str(len(keys)), *keys, how, "last" if last else "", reply, item, mark)
    if whole:
        return valkey.pack((*common, b"".join([row for _, row in rows])))
    if deferred or keep:
        parts = [part for index, row in rows for part in (str(index), row, "", "")]
        parts += [part for one in deferred for part in (str(one.place), one.id, str(one.due_ms), one.sealed)]
        return valkey.pack((*common, *parts))
    return valkey.pack((*common, *(part for index, row in rows for part in (str(index), row))))


def settled_before(done: bytes | None, index: int) -> bool:
    """Whether push `index` was settled, going by the value of done:BATCH (None: the key is not there)."""
    if not done:
        return False
    if done[:1] == b"*":
        return True
    bit = 8 + index
    return bit >> 3 < len(done) and bool(done[bit >> 3] & (128 >> (bit & 7)))
