"""Group commit: pushes that wait together become one Celery task, and each waits here for its answer.

One Outbox per web process, on its loop. A push is accepted when its batch stands in the queue, and Valkey has said so.
When the connection breaks in between, the counter `sent:PROCESS`, written in one transaction with each batch, tells
which batches arrived; the others are sent again while somebody waits for them, and else end as refused.
Invariant: a push that was told OK is in the queue or ended; a push that is not in the queue ends as a row of our own.
"""

import asyncio
import base64
import itertools
import logging
import secrets
import struct
import time
from typing import Any

import msgspec
from django.conf import settings

from delivery import tasks
from delivery.ingest.envelope import Press
from delivery.ingest.limits import Limits, Pair
from delivery.ingest.pending import Pending, Sent
from delivery.ingest.refusals import Refusals
from delivery.metrics import counting
from delivery.outcomes import judge
from delivery.protocol import wire
from delivery.queue import batch, valkey
from delivery.queue.key_usage import Usage
from tenants import vault
from tenants.directory.snapshot import Identity

logger = logging.getLogger(__name__)

# Seconds that the first push of a batch waits for company, and from how many waiting pushes on: a lone push never does.
LINGER, LONELY = 0.005, 5
# When answers take long anyway, a tenth of what they take may be lingered, up to this: larger batches cost less each.
LINGER_MOST, SHARE = 0.010, 0.1
# Seconds without a word from Valkey about a batch after which it counts as away, so that what waits stays bounded.
SILENCE = 2.0
# How often waiting pushes are looked at for their deadline, in seconds.
TICK = 0.05


class Outbox:
    """See the module. start() on the loop that serves; submit() from requests."""

    def __init__(self) -> None:
        self.process = secrets.token_hex(6)
        self.cipher = vault.queue_cipher("queue")
        self.waiting = 0
        # Read once: a look into Django's settings costs as much as making a trace id.
        self.limit, self.deadline = settings.WAITING_LIMIT, settings.PUSH_DEADLINE
        self._numbers = itertools.count(1)
        self._traces = itertools.count(1)
        self._gathered: list[tuple[Pending, bytes]] = []
        self._bytes = 0
        self._pace = 0.0  # seconds that answers take, of late
        self._timer: asyncio.TimerHandle | None = None
        self._sent: dict[int, Sent] = {}
        self._plain = not settings.CELERY_BROKER_URL.startswith(("redis://", "rediss://", "unix://"))
        self._tasks: list[asyncio.Task[Any]] = []
        self._publishing: set[asyncio.Task[None]] = set()
        self.link = valkey.Link(settings.REDIS_URL, on_up=self._returned)
        self.refusals = Refusals(self.link, settings.HASH_KEY)
        self.usage = Usage(self.link)
        self.limits = Limits(self.link, self.process, settings.HASH_KEY, self.limit)

    def start(self) -> None:
        """Connect and begin to listen for answers."""
        self.loop = asyncio.get_running_loop()
        self._press = Press(self.process)
        self.link.start()
        counting.watch(lambda: [("hpns_pushes_in_flight", ("ingest",), self.waiting)])
        beside = (self._listen(), self._watch(), self.limits.keep(), self.usage.keep())
        self._tasks = [self.loop.create_task(each) for each in beside]

    @property
    def ready(self) -> bool:
        """Whether pushes can be accepted."""
        return self.link.up

    async def close(self) -> None:
        """Send what is gathered and let go of the connections."""
        self._flush()
        self.usage.flush()
        self.refusals.pay()
        if self.link.up:
            try:
                await asyncio.wait_for(self.link.flushed(), 1)
            except (ConnectionError, TimeoutError) as error:
                logger.warning("closing without the last word of Valkey: %s", error)
        for task in self._tasks:
            task.cancel()
        self.link.close()

    # --- In

    def trace(self) -> str:
        """A new trace id: short, unique among all processes, and in order within one."""
        return f"{self.process}-{next(self._traces):x}"

    def turn_away(
        self, who: Identity, push: wire.Push, size: int, code: str, **details: object
    ) -> "asyncio.Future[bytes]":
        """Refuse a push that is not taken on."""
        pending = Pending(who, push, self.trace(), time.time(), size, self.loop.create_future())
        return self.refusals.refuse(pending, code, **details)

    def submit(self, who: Identity, push: wire.Push, plain: bytes, size: int, pair: Pair) -> "asyncio.Future[bytes]":
        """Take a push on; the future gives the body of the answer within the deadline. `plain` is the push as JSON."""
        answer: asyncio.Future[bytes] = self.loop.create_future()
        pending = Pending(who, push, self.trace(), time.time(), size, answer)
        if not self.link.up:
            return self.refusals.refuse(pending, "queue_down")
        if self.waiting >= self.limit:
            return self.refusals.refuse(pending, "overloaded")
        item = batch.encode_item(pending.trace, pending.at, who.customer_id, who.server_id, who.key_id, size, plain)
        self.waiting += 1
        pending.pair = pair
        pair.enter()
        gathered = self._gathered
        gathered.append((pending, item))
        self._bytes += len(item)
        if len(gathered) >= batch.MOST or self._bytes >= batch.MOST_BYTES:
            self._flush()
        elif len(gathered) == 1:
            if self.waiting < LONELY:
                self.loop.call_soon(self._flush)
            else:
                linger = min(LINGER_MOST, max(LINGER, SHARE * self._pace))
                self._timer = self.loop.call_later(linger, self._flush)
        return answer

    # --- Out

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gathered, self._gathered, self._bytes = self._gathered, [], 0
        if not gathered:
            return
        counting.accepted(len(gathered))
        number = next(self._numbers)
        batch_id = f"{self.process}:{number}"
        now = self.loop.time()
        sent = Sent(number, batch_id, [p for p, _ in gathered], now, now + self.deadline - TICK)
        self._sent[number] = sent
        sealed = self.cipher.seal_bytes(batch.join([item for _, item in gathered]), batch_id.encode())
        if self._plain:
            task = self.loop.create_task(self._publish(sent, sealed))
            self._publishing.add(task)
            task.add_done_callback(self._publishing.discard)
            return
        sent.commands, sent.count = self._press.commands(batch_id, number, sealed)
        self._send(sent)

    def _send(self, sent: Sent) -> None:
        sent.since = self.loop.time()
        said: asyncio.Future[Any] = self.loop.create_future()
        said.add_done_callback(lambda future: self._said(future, sent))
        self.link.post(sent.commands, sent.count, said)

    def _said(self, future: "asyncio.Future[Any]", sent: Sent) -> None:
        if future.cancelled() or future.exception() is not None:
            return  # whether it arrived is found out when the connection is back
        if isinstance(future.result(), Exception):
            logger.error("Valkey does not take pushes: %s", future.result())
            self._give_up(sent, "queue_down")
            return
        self._arrived(sent)

    def _arrived(self, sent: Sent) -> None:
        sent.arrived = True
        sent.commands = b""

    def _give_up(self, sent: Sent, code: str) -> None:
        if self._sent.pop(sent.number, None) is None:
            return
        for pending in sent.pending:
            if not pending.answer.done():
                self._left(pending)
            self.refusals.refuse(pending, code)

    async def _publish(self, sent: Sent, sealed: bytes) -> None:
        """The way for any other broker: Celery's own, in a thread."""
        try:
            await self.loop.run_in_executor(None, tasks.publish, sent.id, base64.b64encode(sealed).decode())
        except tasks.OperationalError as error:
            logger.error("the broker does not take pushes: %s", error)
            self._give_up(sent, "queue_down")
        else:
            self._arrived(sent)

    async def _returned(self, link: valkey.Link) -> None:
        """The connection is back: which batches arrived? Pay the rows that are owed."""
        answer = await link.ask("GET", f"sent:{self.process}")
        if isinstance(answer, Exception):
            raise ConnectionError(str(answer))
        arrived = int(answer or 0)
        now = self.loop.time()
        for sent in list(self._sent.values()):
            if sent.arrived or self._plain:
                continue
            if sent.number <= arrived:
                self._arrived(sent)
            elif sent.until > now:
                self._send(sent)
            else:
                self._give_up(sent, "queue_down")
        self.refusals.pay()

    # --- Answers

    async def _listen(self) -> None:
        key = batch.reply_key(self.process)
        link = valkey.Link(settings.REDIS_URL)
        await link.start()
        while True:
            try:
                got = await link.ask("BLMPOP", "5", "1", key, "LEFT", "COUNT", "100")
            except ConnectionError:
                await asyncio.sleep(0.05)
                continue
            if isinstance(got, Exception):
                logger.error("Valkey gives no answers: %s", got)
                await asyncio.sleep(1)
            elif got is not None:
                for blob in got[1]:
                    self._answers(blob)

    def _answers(self, blob: bytes) -> None:
        try:
            short, texts = batch.unpack_results(blob)
        except (struct.error, msgspec.DecodeError):
            logger.exception("an answer from a worker cannot be read")
            return
        for number, index, code in short:
            self._answer(number, index, wire.REMOVE_BODY if code else wire.OK_BODY)
        for number, index, text in texts:
            self._answer(number, index, wire.fail_body(text))

    def _answer(self, number: int, index: int, body: bytes) -> None:
        sent = self._sent.get(number)
        if sent is None:
            return  # answered by its deadline before
        sent.arrived = True
        pending = sent.pending[index]
        if not pending.answer.done():
            self._pace += (self._tell(pending, body) - self._pace) * 0.01
        sent.left -= 1
        if not sent.left:
            del self._sent[number]

    def _tell(self, pending: Pending, body: bytes) -> float:
        """Answer one waiting push; returns for how many seconds it has waited."""
        pending.answer.set_result(body)
        self._left(pending)
        seconds = time.time() - pending.at
        counting.answered(seconds)
        return seconds

    def _left(self, pending: Pending) -> None:
        self.waiting -= 1
        if pending.pair is not None:
            pending.pair.leave()

    async def _watch(self) -> None:
        """Answer what is due, and forget batches all of whose pushes have been answered."""
        while True:
            await asyncio.sleep(TICK)
            now = self.loop.time()
            for number, sent in list(self._sent.items()):
                if not sent.arrived and not self._plain and self.link.up and sent.since + SILENCE < now:
                    logger.error("Valkey has said nothing for %g s", SILENCE)
                    self.link.give_up()
                if sent.until > now:
                    break
                if sent.arrived:
                    del self._sent[number]
                self._due(sent)

    def _due(self, sent: Sent) -> None:
        """The deadline of a batch has come: what stands in the queue is OK, save tests; what may not is FAIL."""
        late = judge.refusal("late_test")
        down = judge.refusal("queue_down")
        for pending in sent.pending:
            if pending.answer.done():
                continue
            if not sent.arrived:
                body = wire.fail_body(judge.text(down, pending.trace))
            elif pending.push.type == "test":
                body = wire.fail_body(judge.text(late, pending.trace, seconds=int(self.deadline)))
            else:
                body = wire.OK_BODY
            self._tell(pending, body)
