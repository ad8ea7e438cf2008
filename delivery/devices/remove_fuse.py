"""The REMOVE fuse of one process: decides at once whether an answer that says that a device is gone is believed.

What is decided by is what all processes have counted (remove_counts.py), a second old at most, and what the directory
says: since when the credential signs, and whether REMOVE is held for a customer's devices of it. A push that is
accepted costs one entry of a dictionary; the rest is done once a second beside the path. Invariants: nothing here waits
for Valkey on the path; what is not known is not believed; memory is bounded (the constants below).
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import Final, NamedTuple, Protocol

from delivery.devices import remove_counts
from delivery.devices.remove_counts import Pair, token_hash
from delivery.metrics import removal_counts
from delivery.outcomes import removal
from delivery.outcomes.removal import Counts, Decision
from delivery.outcomes.verdict import Answer, Verdict
from delivery.queue import handover, shared_clock, valkey
from tenants.directory.snapshot import RemoveHoldRow
from tenants.ticks import tick

logger = logging.getLogger(__name__)

# Seconds between two exchanges with the other processes, and after which what they have counted is too old.
TICK: Final = 1.0
STALE: Final = 15.0
# Accepted tokens of a second (some 15 MB at most), and those that are known to be counted already (hashes, 2 MB).
ACCEPTED_MOST: Final = 50_000
KNOWN_MOST: Final = 20_000
# Pairs of customer and credential that are looked after, of which so many are looked at in a tick; and tokens of all of
# them together that wait to be shared, or were doubted (150 bytes each).
WATCHED_MOST: Final = 2_000
LOOKS_MOST: Final = 200
TOKENS_MOST: Final = 20_000
# Seconds for which the fuse must have tripped before people are told: a burst of pushes is counted unevenly at first.
SURE: Final = 5.0
# Seconds before a fuse that has tripped is reported again, should the first report be lost.
AGAIN: Final = 60.0
# What is handed to the database (delivery/queue/handover.py), and how many of it are kept.
TRIPPED: Final = "remove:tripped"
TRIPPED_MOST: Final = 1_000


class Tripped(NamedTuple):
    """A fuse that has tripped: the tokens that would have been removed, out of how many; code: of the last answer."""

    customer_id: int
    credential_id: int
    devices: int
    tokens: int
    code: str


class Signing(Protocol):
    """What a push was signed with (delivery/providers/base.py, Target)."""

    credential_id: int
    signs_since: float


class Holds(Protocol):
    """What the directory offers."""

    def remove_hold(self, customer_id: int, credential_id: int) -> RemoveHoldRow | None:
        """The hold on removals, or its release, if there is any."""


class _Watch:
    """One pair of which a token would be removed lately."""

    __slots__ = ("code", "counts", "doubted", "gone", "looked_at", "new", "reported_at", "since", "used_at")

    def __init__(self) -> None:
        self.gone: set[bytes] = set()  # to be shared
        self.new: set[bytes] = set()  # doubtful ones to be shared
        self.doubted: dict[bytes, float] = {}  # when each was first doubted
        self.counts: Counts | None = None
        self.looked_at = self.used_at = 0.0
        self.since = self.reported_at = 0.0  # when it tripped, and when that was reported
        self.code = ""


class RemoveFuse:
    """See the module. One per process that sends, on its loop; run() beside the pushes."""

    def __init__(
        self, link: valkey.Link, hash_key: bytes, holds: Holds, now: Callable[[], float] = shared_clock.now
    ) -> None:
        """now: the shared time, in unix seconds."""
        self._link, self._hash_key, self._holds, self._now = link, hash_key, holds, now
        self._accepted: dict[tuple[int, int, str], None] = {}
        self._known: set[tuple[int, int, str]] = set()
        self._bucket = 0
        self._watched: OrderedDict[Pair, _Watch] = OrderedDict()
        self._tokens = 0

    def accepted(self, customer_id: int, credential_id: int, device_id: str) -> None:
        """Note that a provider accepted a push to a device."""
        if len(self._accepted) < ACCEPTED_MOST:
            self._accepted[customer_id, credential_id, device_id] = None

    def judge(
        self,
        customer_id: int,
        target: Signing,
        device_id: str,
        verdict: Verdict,
        proven: Verdict | None,
        *,
        counts: bool,
        is_back: bool = False,
    ) -> Verdict:
        """Return the verdict on an answer that says that a device is gone: REMOVE if that is believed, else FAIL.

        proven: the verdict on a doubtful answer that is believed, None for one that means it by itself. counts: whether
        the token counts in the fuse; not that of a test push, which anybody can have any server send to any token.
        is_back: its app has registered since the moment that the provider names; then it counts neither.
        """
        pair, now = (customer_id, target.credential_id), self._now()
        token, watch = token_hash(device_id, self._hash_key), self._watch(pair, now)
        watch.code = verdict.code
        first = watch.doubted.get(token)
        if counts and not is_back:
            self._note(watch, token, now, by_itself=proven is None)
        hold = self._holds.remove_hold(*pair)
        decision = removal.decide(
            by_itself=proven is None,
            is_back=is_back,
            since_change=now - target.signs_since,
            is_held=hold is not None and hold.held,
            is_released=hold is not None and now - hold.released_at < removal.RELEASED,
            counts=watch.counts if now - watch.looked_at < STALE else None,
            since_first=None if first is None else now - first,
        )
        removal_counts.decided(decision)
        if decision is Decision.PROVEN and proven is not None:
            return proven
        return removal.HELD.get(decision, verdict) if verdict.answer is Answer.REMOVE else verdict

    def _watch(self, pair: Pair, now: float) -> _Watch:
        watch = self._watched.get(pair)
        if watch is None:
            if len(self._watched) >= WATCHED_MOST:
                self._forget(next(iter(self._watched)))
            watch = self._watched[pair] = _Watch()
        watch.used_at = now
        self._watched.move_to_end(pair)
        return watch

    def _note(self, watch: _Watch, token: bytes, now: float, *, by_itself: bool) -> None:
        if self._tokens >= TOKENS_MOST:
            for each in self._watched.values():  # what matters of them is in Valkey
                each.doubted.clear()
            self._tokens = self._count()
            if self._tokens >= TOKENS_MOST:
                return  # Valkey is away
        before = len(watch.gone) + len(watch.new) + len(watch.doubted)
        if by_itself:
            watch.gone.add(token)
        else:
            watch.new.add(token)
            watch.doubted.setdefault(token, now)
        self._tokens += len(watch.gone) + len(watch.new) + len(watch.doubted) - before

    def _count(self) -> int:
        return sum(len(each.gone) + len(each.new) + len(each.doubted) for each in self._watched.values())

    def _forget(self, pair: Pair) -> None:
        watch = self._watched.pop(pair)
        self._tokens -= len(watch.gone) + len(watch.new) + len(watch.doubted)

    async def run(self) -> None:
        """Exchange counts with the other processes once a second, until cancelled."""
        while True:
            await tick(TICK)
            await self.exchange()

    async def exchange(self) -> None:
        """Share what was counted here, and look at what all have counted."""
        if not self._link.up:
            return
        now = self._now()
        self._share_accepted(now)
        due = [*islice(self._watched.items(), LOOKS_MOST)]
        for pair, watch in due:
            self._watched.move_to_end(pair)
            if now - watch.used_at > removal.WINDOW and not watch.gone and not watch.new:
                self._forget(pair)
            else:
                await self._look(pair, watch, now)
        self._tokens = self._count()

    def _share_accepted(self, now: float) -> None:
        taken, self._accepted = self._accepted, {}
        if not taken:
            return
        bucket = int(now // remove_counts.BUCKET)
        if bucket != self._bucket or len(self._known) > KNOWN_MOST:
            self._known.clear()
            self._bucket = bucket
        fresh: dict[Pair, list[bytes]] = {}
        for key in taken.keys() - self._known:
            fresh.setdefault((key[0], key[1]), []).append(token_hash(key[2], self._hash_key))
        self._known.update(taken)
        if fresh:
            commands = [remove_counts.adding(pair, tokens, now) for pair, tokens in fresh.items()]
            self._link.post(b"".join(commands), 2 * len(commands))

    async def _look(self, pair: Pair, watch: _Watch, now: float) -> None:
        gone, new, watch.gone, watch.new = watch.gone, watch.new, set(), set()
        try:
            reply = await self._link.execute(*remove_counts.look(pair, gone, new, now))
        except ConnectionError:
            reply = None
        if reply is None or isinstance(reply, Exception):
            watch.gone |= gone  # what could not be shared is shared the next time
            watch.new |= new
            if reply is not None:
                logger.warning("Valkey does not count the devices that would be removed: %s", reply)
            return
        seen = remove_counts.parse(reply)
        watch.counts, watch.looked_at = seen.counts, now
        for token, at in seen.first.items():
            watch.doubted[token] = min(at, watch.doubted.get(token, at))
        self._report(pair, watch, now)

    def _report(self, pair: Pair, watch: _Watch, now: float) -> None:
        counts = watch.counts
        if counts is None or not counts.has_tripped:
            watch.since = 0.0
            return
        watch.since = watch.since or now
        hold = self._holds.remove_hold(*pair)
        is_known = hold is not None and (hold.held or now - hold.released_at < removal.RELEASED)
        if is_known or now - watch.since < SURE or now - watch.reported_at < AGAIN:
            return
        watch.reported_at = now
        devices = counts.doubtful if counts.doubtful >= counts.gone else counts.gone
        tripped = Tripped(*pair, devices, sum(counts), watch.code)
        logger.error(
            "no device of the customer %d is removed: the credential %d is refused %d of %d tokens", *tripped[:4]
        )
        handover.post(self._link, TRIPPED, [tripped], TRIPPED_MOST)
