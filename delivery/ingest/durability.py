"""Which batches surely stand in the queue's append-only file on the disk, and not only in some memory.

With `appendfsync everysec` Valkey writes to its file before it replies, and syncs the file once a second, in a thread.
No command tells which writes a sync has covered: WAITAOF means to, and under `everysec` counts a write as synced as
soon as the file's buffer is empty (measured on 9.1: it answered within a millisecond, fdatasync came up to a second
later). So it is concluded from INFO, by what flushAppendOnlyFile() does (src/aof.c of Valkey and Redis, 7.0 and later):

- it runs before replies are sent, and begins a sync if anything is not synced, unless one is under way or was begun
  less than a second ago; a sync covers everything that was executed before it began.

Hence three looks at the server. At the first no sync is under way, so the next one covers all that was executed until
then. The second is a second later by the server's clock: when its reply was sent, a sync had begun, if any was needed.
At the third none is under way: it has ended. `aof_pending_bio_fsync` counts the syncs under way.

With `appendfsync always` what Valkey has confirmed is synced.

Where replicas follow, one of them may take its place at any moment, and has what it has received by then: nothing is
called synced that has not been acknowledged by as many replicas as `min-replicas-to-write` says, or by one where it
says none and one follows. INFO has how far each has come (`offset`, which it acknowledges once a second), and the
primary's own at the first look covers all that was executed until then, as WAIT reckons. Invariant: a batch is never
called synced before it is; where that cannot be known, it is not called so.
"""

import asyncio
import logging
from collections import deque
from typing import Any, Final

from msgspec import Struct

from delivery.ingest.responses import Responses
from delivery.queue import valkey

logger = logging.getLogger(__name__)

# Seconds between two looks, as long as something is not synced.
LOOK_INTERVAL: Final = 0.25
# Seconds after which a sync has begun: Valkey's own second, and more than its clock may be set back between two looks
# without a look that shows it.
SYNC_SECONDS: Final = 1.0 + LOOK_INTERVAL
# Looks without a sync that has ended after which the disk counts as too slow: as long as a push waits, about.
SLOW_LOOKS: Final = 16
POLICIES: Final = ("appendfsync", "no-appendfsync-on-rewrite", "min-replicas-to-write")
SECTIONS: Final = ("persistence", "server", "replication")


class Look(Struct):
    """What one look at the server showed: its clock in seconds, the position of the last batch, the syncs under way.

    `life`: what changes when the server or its file is another one; `saves_at_once`: it syncs before it replies, and no
    replica follows it; `offset`: how far its replication stream reaches; `replicated`: up to where enough replicas have
    it (`offset` where none are needed); `problem`: why it saves nothing, "" if it does.
    """

    clock: float
    number: int
    syncing: int
    life: tuple[str, ...]
    saves_at_once: bool = False
    problem: str = ""
    offset: int = 0
    replicated: int = 0


def read(number: bytes | None, policies: Any, info: bytes) -> Look:
    """Make a Look of the replies to LINDEX, CONFIG GET and INFO; `policies` is an error where forbidden."""
    fields = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
    given = {} if isinstance(policies, Exception) else dict(zip(policies[::2], policies[1::2], strict=True))
    children = fields.get("aof_rewrite_in_progress") == "1" or fields.get("rdb_bgsave_in_progress") == "1"
    problem = ""
    if fields.get("aof_enabled") != "1":
        problem = "it keeps no append-only file (appendonly no)"
    elif fields.get("aof_last_write_status") != "ok":
        problem = "it cannot write its append-only file (a full disk?)"
    elif given.get(b"appendfsync") == b"no":
        problem = "it does not sync its append-only file (appendfsync no)"
    elif children and given.get(b"no-appendfsync-on-rewrite") == b"yes":
        problem = "it does not sync its append-only file while it rewrites it (no-appendfsync-on-rewrite yes)"
    offset, following = int(fields.get("master_repl_offset", 0)), _following(fields)
    # One that has just begun to follow is not online yet, and counts as one that there is all the same.
    needed = max(int(given.get(b"min-replicas-to-write", 0)), int(fields.get("connected_slaves", "0") != "0"))
    if fields.get("role", "master") != "master":
        problem = problem or "it is a replica"
    elif len(following) < needed:
        problem = problem or f"{len(following)} replicas follow it, of {needed} that have to"
    return Look(
        clock=int(fields.get("server_time_usec", 0)) / 1e6,
        number=int(number or 0),
        syncing=int(fields.get("aof_pending_bio_fsync", 1)),
        life=tuple(fields.get(name, "") for name in ("run_id", "aof_rewrites", "aof_rewrite_in_progress")),
        saves_at_once=not problem and given.get(b"appendfsync") == b"always" and not needed,
        problem=problem,
        offset=offset,
        replicated=following[needed - 1] if 0 < needed <= len(following) else offset,
    )


def _following(fields: dict[str, str]) -> list[int]:
    """How far the replicas that are online have come, by INFO, the furthest first."""
    lines = [fields.get(f"slave{number}", "") for number in range(int(fields.get("connected_slaves", 0)))]
    replicas = [dict(part.split("=", 1) for part in line.split(",") if "=" in part) for line in lines]
    return sorted((int(each.get("offset", 0)) for each in replicas if each.get("state") == "online"), reverse=True)


class SyncTracker:
    """Concludes from looks, in their order, which batches are synced; see the module. Pure."""

    def __init__(self) -> None:
        # First looks, each with its number, its time, and whether the second has come.
        self._begun: deque[tuple[Look, bool]] = deque()
        self._life: tuple[str, ...] = ()
        self._latest = 0.0
        self.waits_for_replicas = False  # the file has it, and they do not

    def observe(self, seen: Look) -> int:
        """Take in a look; returns the number up to which all batches that the server has are synced, or 0."""
        if seen.life[:1] != self._life[:1]:
            self._latest = 0.0
        if seen.life != self._life or seen.problem or seen.clock < self._latest:
            # Valkey reckons by its clock: when that was set back, it syncs nothing until it has caught up.
            self._begun.clear()
        self._life, synced = seen.life, 0
        if seen.problem or seen.clock < self._latest:
            return 0
        self._latest = seen.clock
        if not seen.syncing:
            while self._begun and self._begun[0][1] and self._begun[0][0].offset <= seen.replicated:
                synced = self._begun.popleft()[0].number
            self.waits_for_replicas = bool(self._begun and self._begun[0][1])
        for index, (first, has_second) in enumerate(self._begun):
            if not has_second and seen.clock - first.clock >= SYNC_SECONDS:
                self._begun[index] = (first, True)
        if not seen.syncing:
            self._begun.append((seen, False))
        return synced


class DurabilityWatch:
    """Tells the responses of one web process what is synced; run() on its loop."""

    def __init__(self, sent: str, link: valkey.Link, responses: Responses) -> None:
        """`sent`: the key of the list of the positions of the last batches, newest first."""
        self._sent, self._link, self._responses = sent, link, responses
        self._tracker = SyncTracker()
        self._fruitless = 0
        self._problem = ""

    async def run(self) -> None:
        """Look at the server as long as something is not synced, until cancelled."""
        while True:
            if self._responses.newest <= self._responses.synced:
                self._fruitless = 0
                await self._responses.wait_for_unsynced()
            await asyncio.sleep(LOOK_INTERVAL)
            if not self._link.up:
                self._fruitless = 0
                continue
            try:
                await self.look(self._link)
            except ConnectionError:
                continue  # the link logs it

    async def look(self, connection: valkey.Link | valkey.Connection) -> None:
        """Look at the server once. Raises ConnectionError."""
        execute = connection.execute
        # Written together and in this order: so the number is older than what INFO says.
        number, policies = execute("LINDEX", self._sent, "0"), execute("CONFIG", "GET", *POLICIES)
        replies = await asyncio.gather(number, policies, execute("INFO", *SECTIONS))
        for reply in (replies[0], replies[2]):
            if isinstance(reply, Exception):
                self._report(f"it does not say what it has saved ({reply})")
                return
        seen = read(*replies)
        responses, synced = self._responses, self._tracker.observe(seen)
        responses.saves_at_once = seen.saves_at_once
        if synced > responses.synced:
            responses.on_synced(synced)
            self._fruitless = 0
        else:
            self._fruitless += 1
        slow = ""
        if self._fruitless > SLOW_LOOKS:
            slow = "its disk takes long to sync the append-only file"
            if self._tracker.waits_for_replicas:
                slow = "its replicas are far behind it"
        self._report(seen.problem or slow)

    def _report(self, problem: str) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        if problem:
            logger.error("pushes without a result in time are answered FAIL, for Valkey may lose them: %s", problem)
        else:
            logger.info("Valkey saves pushes again")
