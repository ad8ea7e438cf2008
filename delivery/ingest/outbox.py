"""Group commit: pushes that wait together become one batch, which is one Celery task.

One Outbox per web process, and one in the pages process (for test pushes), on its loop: what comes in is collected
here, delivery/ingest/publishing.py seals a batch and puts it into the queue, delivery/ingest/responses.py resolves each
push's answer. A push is accepted when its batch stands in the queue, and Valkey has said so.
Invariant: a push that was told OK is in the queue's file on its disk or ended (delivery/ingest/durability.py); a push
that is not in the queue ends as a row of our own.
"""

import asyncio
import itertools
import logging
import secrets
from collections.abc import Callable
from typing import Any, Final

from django.conf import settings

from delivery.devices.dead import DeadDevices, Known
from delivery.ingest.door_log import DoorLog
from delivery.ingest.durability import DurabilityWatch
from delivery.ingest.fair_intake import FairIntake
from delivery.ingest.late_marks import LateMarks
from delivery.ingest.limits import Allowance, Limits
from delivery.ingest.own_delivery import OwnDelivery
from delivery.ingest.pending import PendingPush
from delivery.ingest.publishing import Publisher
from delivery.ingest.receipts import MOST_BYTES, Receipts
from delivery.ingest.recent_pushes import RecentPushes
from delivery.ingest.refusals import TurnedAwayPushes
from delivery.ingest.repeats import Repeats
from delivery.ingest.responses import Responses
from delivery.ingest.seen_log import SeenLog
from delivery.metrics import counting
from delivery.protocol import policy, wire
from delivery.queue import batch, seen, shared_clock, valkey
from delivery.queue.key_usage import KeyUsage
from delivery.queue.rejections import Rejections
from delivery.queue.strangers import Strangers
from tenants.directory.live import DIRECTORY
from tenants.directory.snapshot import Identity
from tenants.supervision import supervise

logger = logging.getLogger(__name__)

# Seconds that the first push of a batch waits for company, and from how many waiting pushes on: a lone push never does.
LINGER, LINGER_FROM = 0.005, 5
# When answers take long anyway, a tenth of what they take may be lingered, up to this: larger batches cost less each.
LINGER_MOST, LINGER_SHARE = 0.010, 0.1
# Pushes that a batch which lingers has to have on the average for that to be of use; where they have fewer, as which
# one it lingers all the same, to find out whether there is more company by now; the latest's share in that average.
COMPANY: Final = 1.5
TRIAL_EVERY: Final = 16
COMPANY_WEIGHT: Final = 0.1
# Bytes of sealed batches that are kept until their pushes are answered; what comes beyond them is turned away. That is
# 13 MB a second for the five seconds that a push waits at most.
KEPT_MOST: Final = 64_000_000
# Pushes that one customer may have waiting for each that could still be taken on: two thirds of all, if nobody else has
# any, and the rest is for others (dynamic thresholds, see queue_memory.py).
SHARE: Final = 2


class Outbox:
    """Collects pushes into batches. start() on the loop that serves; submit() from requests."""

    def __init__(self, role: str = "ingest", own: Callable[[valkey.Link], OwnDelivery] | None = None) -> None:
        """role: by which the metrics know this process; own: makes what sends here, on the link by which batches are
        published; without it everything goes to the workers."""
        self._role = role
        self.process = secrets.token_hex(6)
        # Read once: a look into Django's settings costs as much as making a trace id.
        self.waiting_limit = settings.WAITING_LIMIT
        self._traces = itertools.count(1)
        self._collected: list[tuple[PendingPush, bytes]] = []
        self._collected_bytes = 0
        self._company, self._since_trial = 2 * COMPANY, 0
        self._timer: asyncio.TimerHandle | None = None
        self._fair = FairIntake(self._collect)
        self._tasks: list[asyncio.Task[Any]] = []
        self.link = valkey.Link(settings.REDIS_URL, on_connect=self._on_reconnected, on_up=self._on_up, name="pushes")
        self.turned_away = TurnedAwayPushes(self.link, settings.HASH_KEY, settings.PUBLIC_URL)
        self.receipts = Receipts(self.link, self.trace)
        self.dead = DeadDevices(self.link, settings.HASH_KEY, DIRECTORY)
        self.door_log = DoorLog()
        self.key_usage = KeyUsage(self.link)
        self.rejections = Rejections(self.link)
        self.strangers = Strangers(self.link)
        self.limits = Limits(self.link, self.process, settings.HASH_KEY, self.waiting_limit)
        self._late_marks = LateMarks(self.link)
        self._recent = RecentPushes(settings.HASH_KEY)
        self.responses = Responses(
            self.process, settings.PUSH_DEADLINE, settings.PUBLIC_URL, self._late_marks.add, self._recent.on_ended
        )
        self.responses.on_released = self._fair.on_released
        self._seen = SeenLog(self.link, self.limits.memory)
        self._repeats = Repeats(self._seen, self.responses, self.turned_away)
        self._own = own(self.link) if own is not None else None
        self._publisher = Publisher(
            self.process, self.link, self.responses, self.turned_away, self._repeats, self._own, self._seen
        )
        # The pages process has tests alone, and those have no name.
        self._knows_repeats = role == "ingest" and not self._publisher.via_celery
        self._durability = DurabilityWatch(self._publisher.sent, self.link, self.responses)

    def start(self) -> None:
        """Connect and begin to listen for answers."""
        self.loop = asyncio.get_running_loop()
        self.link.start()
        if self._own is not None:
            self._own.start(self.responses, self.dead)
        counting.register_gauges(lambda: [("hpns_pushes_in_flight", (self._role,), self.responses.waiting)])
        self._tasks = [
            supervise("the listener for answers", self.responses.listen),
            supervise("the deadlines of pushes", self._watch),
            supervise("the upkeep of limits", self.limits.maintain),
            supervise("the record of key usage", self.key_usage.flush_periodically, essential=False),
            supervise("the record of rejections", self.rejections.flush_periodically, essential=False),
            supervise("the comparison of clocks", lambda: shared_clock.follow(self.link), essential=False),
        ]
        if not self._publisher.via_celery:  # of another broker's file Valkey knows nothing
            self._tasks.append(supervise("the watch over the queue's file", self._durability.run))
        if self._role == "ingest":  # a test is nobody's device that is gone, and comes from no stranger
            self._tasks += [
                supervise("the list of dead devices", self.dead.run, essential=False),
                supervise("the record of strangers", self.strangers.flush_periodically, essential=False),
            ]
        if self._knows_repeats:
            self._tasks.append(supervise("the log of pushes", self._seen.follow, essential=False))

    @property
    def ready(self) -> bool:
        """Whether pushes can be accepted."""
        return self.link.up

    async def close(self) -> None:
        """Publish what is collected and close the connections."""
        self._fair.flush()
        self._flush()
        self.key_usage.flush()
        self.rejections.flush(all_of_it=True)
        self.strangers.flush()
        self.turned_away.close()
        self.receipts.flush(MOST_BYTES)
        if self._own is not None:
            await self._publisher.close()
            await self._own.close()
        if self.link.up:
            try:
                await asyncio.wait_for(self.link.drain(), 1)
            except (ConnectionError, TimeoutError) as error:
                logger.warning("closing without Valkey's last confirmations: %s", error)
        for task in self._tasks:
            task.cancel()
        self.link.close()

    def trace(self) -> str:
        """A new trace id: short, unique among all processes, and in order within one."""
        return f"{self.process}-{next(self._traces):x}"

    def turn_away(
        self, who: Identity, push: wire.Push, size: int, code: str, **details: object
    ) -> "asyncio.Future[bytes]":
        """Answer and log a push that is not taken on; `code` is one of our own."""
        pending = PendingPush(who, push, self.trace(), shared_clock.now(), size, self.loop.create_future())
        return self.turned_away.turn_away(pending, code, **details)

    def remove(self, who: Identity, push: wire.Push, size: int, known: Known) -> "asyncio.Future[bytes]":
        """Answer and log a push to a device that is known to be dead."""
        pending = PendingPush(who, push, self.trace(), shared_clock.now(), size, self.loop.create_future())
        return self.turned_away.remove(pending, known)

    def submit(
        self, who: Identity, push: wire.Push, plain: bytes, size: int, allowance: Allowance
    ) -> "asyncio.Future[bytes]":
        """Take a push on; the future gives the body of the answer within the deadline. `plain` is the push as JSON."""
        answer: asyncio.Future[bytes] = self.loop.create_future()
        pending = PendingPush(who, push, self.trace(), shared_clock.now(), size, answer)
        responses, first = self.responses, self._recent.find(pending)
        if first is not None and responses.waiting < self.waiting_limit:
            return self._repeats.join(first, pending, allowance)
        if not self.link.up:
            return self.turned_away.turn_away(pending, "queue_down")
        if 2 * responses.waiting >= self.waiting_limit or 2 * responses.kept_bytes >= KEPT_MOST:
            left = self._places_left()
            if not left or (allowance.customer.in_flight >= SHARE * left and not policy.is_wipe(push)):
                return self.turned_away.turn_away(pending, "overloaded")
        now = self.loop.time()
        at_once = self._fair.goes_on(who.customer_id, allowance.customer.in_flight, now)
        if not at_once and not self._fair.may_wait(who, len(plain), pending.at):
            return self.turned_away.turn_away(pending, "overloaded")
        item = batch.encode_item(pending.trace, pending.at, who.customer_id, who.server_id, who.key_id, size, plain)
        responses.waiting += 1
        pending.allowance = allowance
        allowance.acquire()
        self._recent.begin(pending, now)
        if at_once:
            self._collect(pending, item)
        else:
            self._fair.wait(pending, item)
        return answer

    def _places_left(self) -> int:
        """How many more pushes could be taken on, by their number and by their bytes."""
        limit, responses = self.waiting_limit, self.responses
        by_bytes = limit * (KEPT_MOST - responses.kept_bytes) // KEPT_MOST
        return max(0, min(limit - responses.waiting, by_bytes))

    def _collect(self, pending: PendingPush, item: bytes) -> None:
        """Add a push to the batch that is being collected."""
        collected = self._collected
        collected.append((pending, item))
        self._collected_bytes += len(item)
        if len(collected) >= batch.MOST or self._collected_bytes >= batch.MOST_BYTES:
            self._flush()
        elif self._fair.congestion.is_anothers(pending.who.customer_id):  # what lingers would do so in each turn
            self.loop.call_soon(self._flush)
        elif len(collected) == 1:
            if self.responses.waiting < LINGER_FROM or not self._finds_company():
                self.loop.call_soon(self._flush)
            else:
                linger = min(LINGER_MOST, max(LINGER, LINGER_SHARE * self.responses.latency))
                self._timer = self.loop.call_later(linger, self._flush)

    def _finds_company(self) -> bool:
        """Whether a batch that lingers has more than its first push, of late: else its servers wait for nothing."""
        self._since_trial += 1
        if self._company < COMPANY and self._since_trial < TRIAL_EVERY:
            return False
        self._since_trial = 0
        return True

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._company += (len(self._collected) - self._company) * COMPANY_WEIGHT
        collected, self._collected, self._collected_bytes = self._collected, [], 0
        if collected:
            counting.accepted(len(collected))
            self._publisher.publish([pending for pending, _ in collected], [item for _, item in collected])

    async def _on_reconnected(self, connection: valkey.Connection) -> None:
        if self._knows_repeats:
            await connection.execute(*seen.loading())
            await self._seen.load(connection)
        if not self._publisher.via_celery:
            await self._durability.look(connection)
            await self._publisher.on_reconnected(connection)

    def _on_up(self) -> None:
        self._late_marks.flush()
        self.turned_away.flush()
        self.receipts.flush()

    async def _watch(self) -> None:
        while True:
            await self.responses.wait_for_batches()  # a process that has none in flight wakes for nothing
            await asyncio.sleep(self.responses.seconds_left(self.loop.time()))
            self.responses.check_deadlines(self.loop.time(), queue_up=self.link.up)
