"""Marks of what has begun to be sent and would show twice on a phone, such as calls: nobody else sends that again.

A repeat of most pushes takes the first one's place on the phone, so that whoever takes over from a process that died
sends all that is unsettled again. A call rings anew each time. So before one is sent a mark is set in Valkey, and
Valkey's word awaited: who finds the mark of another ends the push without sending it (`interrupted`), for nobody knows
whether it was taken. A mark is taken back where the provider has surely not taken the push and it is tried again.
Invariant: of those who have a push in hands at most one sends it, as long as Valkey gives replies; where it gives none
the push is sent all the same, since a call that may ring twice is better than one that surely does not.

Keys: begun:TRACE (who has begun to send it; lapses after KEPT seconds).
"""

import asyncio
import itertools
import logging
import secrets
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from delivery.providers import table
from delivery.providers.base import Try
from delivery.queue import valkey
from delivery.worker.batch_progress import BatchProgress

logger = logging.getLogger(__name__)

# Seconds that a mark is kept: far longer than it takes to notice that a process died, and than a call is of use.
KEPT: Final = 300
# Seconds for Valkey's word, after which a push is sent without it.
PATIENCE: Final = 0.5
# Gives 1 where the mark is the caller's now. It must work when memory is full (allow-oom): it lapses by itself.
_BEGIN: Final = f"""#!lua flags=allow-oom
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', {KEPT})
return 1
"""
_TAKE_BACK: Final = """#!lua flags=allow-oom
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
_PROCESS: Final = secrets.token_hex(8)
_numbers: Final = itertools.count(1)
Then = Callable[[BatchProgress, int, Try], None]


def may_show_twice(tried: Try) -> bool:
    """Tell whether a push that is sent again would not take the first one's place on the phone."""
    push = tried.push
    # A quick look first, which knows nearly all.
    if push.ack_id and push.post_id and push.transport != "voip" and push.sub_type != "calls":
        return False
    return not table.PROVIDERS[tried.target.family].replaces(push)


class BegunMarks:
    """The marks of one process, on its loop."""

    def __init__(self, link: valkey.Link, loop: asyncio.AbstractEventLoop, send: Then, interrupted: Then) -> None:
        """send: sends a push; interrupted: ends one that somebody else has begun to send."""
        self._link, self._loop, self._send, self._interrupted = link, loop, send, interrupted

    def send(self, work: BatchProgress, index: int, tried: Try) -> None:
        """Mark a push of a batch as begun, and send it with Valkey's word. Returns at once."""
        if not work.holder:
            # Of the batch in these hands: the same process may be handed it again while it has it still.
            work.holder = f"{_PROCESS}:{next(_numbers)}"
        reply = self._link.execute("EVAL", _BEGIN, "1", _key(work, index), work.holder)
        timer = self._loop.call_later(PATIENCE, reply.cancel)
        reply.add_done_callback(partial(self._go_on, work, index, tried, timer))

    def _go_on(
        self, work: BatchProgress, index: int, tried: Try, timer: asyncio.TimerHandle, reply: "asyncio.Future[Any]"
    ) -> None:
        timer.cancel()
        if index not in work.open:
            return  # it was ended for its deadline meanwhile
        said = None if reply.cancelled() or reply.exception() is not None else reply.result()
        if said == 0:
            self._interrupted(work, index, tried)
            return
        if said != 1:
            problem = said or (None if reply.cancelled() else reply.exception()) or "no reply"
            trace = work.items[index].trace
            logger.warning("a push is sent without a mark that it is: %s", problem, extra={"trace": trace})
        self._send(work, index, tried)

    def take_back(self, work: BatchProgress, index: int) -> None:
        """Let anybody send a push again that its provider has surely not taken."""
        if work.holder:
            self._link.post(valkey.pack(("EVAL", _TAKE_BACK, "1", _key(work, index), work.holder)), 1)


def _key(work: BatchProgress, index: int) -> str:
    return f"begun:{work.items[index].trace}"
