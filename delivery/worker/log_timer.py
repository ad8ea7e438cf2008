"""Timer of the delivery log in each worker: once a second it asks Valkey whether anything waits to be written, and has
it written then (log_writer.py).

Invariants: of all workers one at a time has the turn, so that several cost no more than one, and the turn of one that
died or hangs lapses within a second; a service at rest costs one command a second, and no query.
"""

import asyncio
import logging
import random
import time
from typing import Final

from delivery.devices.remove_fuse import TRIPPED
from delivery.log.receipt_lines import QUEUE as RECEIPTS
from delivery.log.told import TOLD
from delivery.log.writing import QUEUE as ROWS
from delivery.queue import key_usage, rejections, signature_samples, strangers, valkey
from delivery.worker import credential_reports, log_writer
from tenants.ticks import tick

logger = logging.getLogger(__name__)

# Seconds between two looks, and for Valkey's answer to one.
INTERVAL: Final = 1.0
# Milliseconds of a turn: no longer than it takes until the next look, for its end is not told.
TURN_MS: Final = 900
# Seconds after which all is gone through though nothing new waits: receipts that had no push yet may have one.
WHOLE_INTERVAL: Final = 60.0
TURN: Final = "log:turn"
# The lists that a writing empties. Without the rows of the log among them, all of those are written.
_LISTS: Final = (
    *(ROWS.waiting, ROWS.segments, RECEIPTS.waiting, RECEIPTS.segments, TOLD, credential_reports.REPORTED),
    *(key_usage.SEEN, rejections.SEEN, strangers.SEEN, signature_samples.WAITING, TRIPPED),
)
# Takes the turn if any of the lists is there; returns 1 if it was taken. KEYS: the turn, since when all rows are
# written, the lists. ARGV: milliseconds of the turn, 1: take it in any case. Of a Valkey that is full, the log is what
# frees it.
LOOK: Final = """#!lua flags=allow-oom
if redis.call('EXISTS', KEYS[3], KEYS[4]) == 0 then
  local now = tonumber(redis.call('TIME')[1])
  local noted = tonumber(redis.call('GET', KEYS[2]) or 0)
  if noted > now or now - noted >= 5 then redis.call('SET', KEYS[2], now) end
end
if ARGV[2] ~= '1' and redis.call('EXISTS', unpack(KEYS, 3)) == 0 then return 0 end
return redis.call('SET', KEYS[1], '1', 'NX', 'PX', ARGV[1]) and 1 or 0
"""
_KEYS: Final = (TURN, ROWS.written_at, *_LISTS)


async def keep(link: valkey.Link) -> None:
    """Have written what waits, again and again, until cancelled. `link`: this process's one for commands.

    Raises what a writing raises that is no trouble with a store: a fault of ours.
    """
    whole_at = time.monotonic() + WHOLE_INTERVAL * random.uniform(0.5, 1.0)  # noqa: S311  not all workers at once
    writing: asyncio.Task[None] | None = None
    while True:
        await tick(INTERVAL)
        if writing is not None and not writing.done():
            await log_writer.WRITER.write()  # it says for how long that goes on; the turn is for other workers
            continue
        if writing is not None:
            ended, writing = writing, None
            ended.result()
        whole = time.monotonic() >= whole_at
        if await _is_ours(link, whole=whole):
            whole_at = time.monotonic() + WHOLE_INTERVAL
            writing = asyncio.create_task(log_writer.WRITER.write())


async def _is_ours(link: valkey.Link, *, whole: bool) -> bool:
    """Whether something waits, and the turn is this worker's."""
    try:
        taken = await link.execute("EVAL", LOOK, str(len(_KEYS)), *_KEYS, str(TURN_MS), "1" if whole else "0")
    except ConnectionError:
        return False  # the link says so
    if isinstance(taken, Exception):
        logger.error("Valkey does not say whether rows of the delivery log wait: %s", taken)
        return False
    return bool(taken == 1)
