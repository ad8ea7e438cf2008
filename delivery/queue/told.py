"""What the servers of a late batch's pushes were told at its deadline, beside the batch's progress in Valkey.

Who is told at the deadline does not hear what comes of the push, so the row of the log has to hold what it was told.
The web process marks the batch's progress key, in its first byte, and whoever settles the rest of the batch reads the
mark there. Invariant: a push that was settled before the mark keeps its bit, so that the web process learns of it and
corrects the row (delivery/log/told.py). A batch that is answered in time has no mark and costs nothing.
"""

from typing import Final

from delivery.outcomes.verdict import Answer
from delivery.protocol import policy
from delivery.protocol.wire import Push
from delivery.queue import batch, valkey

# The marks. All were told FAIL; tests were, and all others OK; tests and what is soon of no use were, all others OK.
FAIL: Final = b"f"
OK: Final = b"o"
OK_IF_LASTING: Final = b"s"
MARKS: Final = (FAIL, OK, OK_IF_LASTING)
# Seconds that a mark is kept of a batch that nobody has begun: as long as the payload may wait for a worker. That of
# any other is kept with its progress.
KEPT: Final = 8 * 24 * 3600
# Seconds that a push is of use from which on it is lasting: longer than what an outage of all workers takes to end.
LASTING: Final = 300

# Gives the progress before: what has been settled.
_MARK: Final = f"""#!lua flags=allow-oom
local before = redis.call('GET', KEYS[1])
if not before then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', {KEPT})
elseif string.sub(before, 1, 1) ~= '*' then
  redis.call('SETRANGE', KEYS[1], 0, ARGV[1])
end
return before or ''
"""


def marking(batch_id: str, mark: bytes) -> bytes:
    """The packed command that marks a batch; it gives its progress as it was before, and may be repeated."""
    return valkey.pack(("EVAL", _MARK, "1", batch.progress_key(batch_id), mark))


def is_lasting(push: Push) -> bool:
    """Whether a push is still of use after an outage."""
    return policy.lifetime(push) >= LASTING


def answer(push: Push, mark: bytes) -> Answer:
    """What the server of this push was told at its deadline, by the mark of its batch."""
    if mark == FAIL or push.type == "test" or (mark == OK_IF_LASTING and not is_lasting(push)):
        return Answer.FAIL
    return Answer.OK
