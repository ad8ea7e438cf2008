"""Memory of what one web process has taken on of late: pushes in flight, and what the servers of ended ones were told.

Two generations, so that it is bounded in time and number without a look at each entry. A push that failed is forgotten,
for its failure may have passed and it may be tried anew; not one that may yet arrive.
"""

from typing import Final

from delivery.ingest.pending import PendingPush
from delivery.outcomes.verdict import Outcome
from delivery.protocol import wire
from delivery.providers import table
from delivery.queue import seen

# Pushes of a generation, of which there are two, and seconds until the next begins: 200 bytes each, so 20 MB.
GENERATION_MOST: Final = 50_000
GENERATION_SECONDS: Final = 300.0
# In place of an answer: it was FAIL, and the push may yet arrive.
UNCERTAIN: Final = b"?"
# Of our own codes, those that are told while the push goes on.
_GOING_ON: Final = frozenset(("queue_unsaved", "no_worker"))
_CODE_AT: Final = len(wire.fail_body("")) - 2


def may_arrive(body: bytes) -> bool:
    """Whether a push that was answered with this FAIL may yet reach the phone."""
    code = body[_CODE_AT:].split(b" ", 1)[0].decode(errors="replace")
    verdict = table.verdict_of(code)
    return code in _GOING_ON or (verdict is not None and verdict.outcome is Outcome.UNKNOWN)


class RecentPushes:
    """See the module."""

    def __init__(self, hash_key: bytes) -> None:
        self._hash_key = hash_key
        self._recent: dict[bytes, PendingPush | bytes] = {}
        self._older: dict[bytes, PendingPush | bytes] = {}
        self._began = 0.0

    def find(self, push: PendingPush) -> PendingPush | bytes | None:
        """Name a push by its digest; returns the first one of this name, in flight, or its answer or UNCERTAIN.

        None for one that is to be taken on.
        """
        who = push.who
        digest = push.digest = seen.digest(who.customer_id, who.server_id, push.push, self._hash_key)
        if digest is seen.NONE:
            return None
        first = self._recent.get(digest) or self._older.get(digest)
        if isinstance(first, PendingPush) and first.allowance is None:  # a fault of ours has ended it past on_ended()
            self.forget(first)
            return None
        return first

    def begin(self, push: PendingPush, now: float) -> None:
        """Remember a push that is taken on; `now` is the loop's time."""
        if push.digest is seen.NONE:
            return
        if now - self._began >= GENERATION_SECONDS or len(self._recent) >= GENERATION_MOST:
            self._began = now
            self._older, self._recent = self._recent, {}
        self._recent[push.digest] = push

    def on_ended(self, push: PendingPush, body: bytes) -> None:
        """Remember how a push has ended, or what was told of it at its deadline."""
        if push.digest is seen.NONE:
            return
        if body is wire.OK_BODY or body is wire.REMOVE_BODY:
            self._recent[push.digest] = body
        elif body is UNCERTAIN or may_arrive(body):
            self._recent[push.digest] = UNCERTAIN
        else:
            self.forget(push)

    def forget(self, push: PendingPush) -> None:
        """A push has failed, or was not taken on."""
        self._recent.pop(push.digest, None)
        self._older.pop(push.digest, None)
