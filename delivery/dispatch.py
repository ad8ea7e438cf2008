"""After the queue: open a batch, find each push its way, send, judge, try again where it is safe, and settle.

One Dispatcher per worker process. Invariant: every push of a batch ends in exactly one verdict within its deadline, and
a batch is given up (acknowledged) only after all of it is settled.
"""

import asyncio
import base64
import gc
import logging
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec
from django.conf import settings

from delivery import batch, meters, outcomes, policy, settle, valkey
from delivery.fallback import Reporter
from delivery.routes import Routes
from delivery.senders.apns import ApnsSender
from delivery.senders.base import Try
from delivery.senders.fcm import FcmSender
from delivery.senders.http2 import Engine
from delivery.settle import Settler, Work
from delivery.verdict import Answer, Attempt, Retry, Verdict
from tenants import vault
from tenants.directory import DIRECTORY

logger = logging.getLogger(__name__)

# Seconds that finished pushes of an unfinished batch wait for company before they are settled.
GATHER = 0.003
# When a provider takes long anyway, a tenth of what it took may be waited, up to this: fewer settlements cost less.
GATHER_MOST, SHARE = 0.010, 0.1
# Seconds before the first and each further try after a fault below HTTP, doubled each time; at least this much time
# must be left for a try to be worth it.
PAUSE, WORTH = 0.05, 0.1
# A push that comes out of the queue when little is left of its time gets a fresh window: its server is told OK.
LATE = 1.0


class Dispatcher:
    """See the module. Made by here(); start() before the first batch."""

    def __init__(self) -> None:
        self.routes = Routes()
        self.cipher = vault.queue_cipher("queue")
        self.in_flight = 0
        # Read once: a look into Django's settings costs as much as a look-up of a route.
        self.attempt_deadline, self.push_deadline = settings.ATTEMPT_DEADLINE, settings.PUSH_DEADLINE
        self._ready: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        """Connect, read the directory, open the engine. May be called again; returns when all is ready."""
        if self._ready is None:
            self.loop = asyncio.get_running_loop()
            self._ready = self.loop.create_future()
            self._spawn(DIRECTORY.follow())
            self._spawn(meters.keep())
            self.link = valkey.shared(settings.REDIS_URL)
            self.reporter = Reporter(self.loop)
            self._spawn(self.reporter.run())
            self.settler = Settler(self.link, self.loop, settings.HASH_KEY)
            self.engine = Engine(self.loop, settings.PROVIDER_CA_FILE, settings.HTTPS_PROXY, settings.NO_PROXY)
            self.senders: dict[str, ApnsSender | FcmSender] = {
                "apns": ApnsSender(self.engine),
                "fcm": FcmSender(self.engine, settings.GOOGLE_TOKEN_ORIGIN),
            }
            meters.watch(self._gauges)
            # A push makes no cycles; collecting less often halves the worst waits (BENCHMARKS.md).
            gc.collect()
            gc.set_threshold(20_000, 50, 100)
            self._ready.set_result(None)
        await asyncio.shield(self._ready)

    def _gauges(self) -> Iterator[meters.Gauge]:
        yield "hpns_pushes_in_flight", ("worker",), self.in_flight
        for state in self.engine.connections():
            host = urlsplit(state.origin).hostname or ""
            yield "hpns_provider_connections", (host,), state.lanes
            yield "hpns_provider_requests", (host,), state.in_flight

    def _spawn(self, coroutine: Any) -> None:
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop what runs beside the batches."""
        if self._ready is None:
            return
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1)  # meters.keep() writes down its last second
        await self.engine.close()
        self.link.close()

    async def run(self, batch_id: str, sealed: str, again: bool) -> None:
        """Deliver one batch; returns when all of it is settled. `again`: it may have been begun before."""
        await self.start()
        while not DIRECTORY.ready:  # the first seconds of a worker whose stores are away
            await asyncio.sleep(0.1)
        payload, done = await self._fetch(batch_id, sealed, again)
        if payload is None:
            if not again:
                logger.error("the pushes of a batch are gone from Valkey", extra={"batch": batch_id})
            return  # settled before: its payload went with it
        try:
            items = batch.decode_items(self.cipher.open_bytes(payload, batch_id.encode()))
        except (vault.VaultError, msgspec.DecodeError) as error:
            logger.critical("a batch of the queue cannot be opened and stays in it until it can: %s", error)
            raise vault.VaultError(str(error)) from error
        work = Work(batch_id, items, self.loop.create_future())
        self.in_flight += len(items)
        meters.batch(len(items))
        now, clock = time.time(), self.loop.time()
        work.begun = clock
        self.routes.refresh()  # what follows waits for nothing, so they stay as they are
        for index, item in enumerate(items):
            if done is not None and settle.settled_before(done, index):
                work.left -= 1
                work.again = True
                continue
            try:
                self._begin(work, index, item, now, clock)
            except Exception:
                logger.exception("a push could not be begun", extra={"trace": item.trace})
                self._end(work, index, outcomes.refusal("internal_error"))
        if work.left or work.ended:
            await work.finished
        self.in_flight -= len(items)

    async def _fetch(self, batch_id: str, sealed: str, again: bool) -> tuple[bytes | None, bytes | None]:
        if sealed and not again:
            return base64.b64decode(sealed), None
        while True:
            try:
                payload, done = await self.link.ask("MGET", batch.payload_key(batch_id), batch.progress_key(batch_id))
            except ConnectionError:
                await asyncio.sleep(0.1)
                continue
            if done is not None and done[:1] == b"*":
                return None, None
            return (base64.b64decode(sealed) if sealed else payload), done

    def _begin(self, work: Work, index: int, item: batch.Item, now: float, clock: float) -> None:
        push = item.push
        age = max(0.0, now - item.at)  # the machine that accepted it may have a clock that is ahead of ours
        lifetime = policy.lifetime(push)
        if age > lifetime:
            return self._end(work, index, outcomes.refusal("expired"))
        window = self.attempt_deadline - age
        if window < LATE:
            if push.type == "test" and age >= self.push_deadline:
                return self._end(work, index, outcomes.refusal("late_test"), seconds=int(self.push_deadline))
            window = self.attempt_deadline
        route = work.routes[index] = self.routes.known(item.customer if item.key else 0, push.platform)
        target = route.target
        if target is None:
            return self._end(work, index, route.refusal or outcomes.refusal("no_app"), label=route.label)
        work.until[index] = clock + window
        family = target.family
        self.senders[family].send(
            Try(
                push,
                target,
                policy.push_id(item.server, push) if family == "apns" else "",
                int(item.at) + lifetime,
                route.version,
                window,
                self._tried,
                work,
                index,
            )
        )
        return None

    def _tried(self, tried: Try, attempt: Attempt) -> None:
        work: Work = tried.batch  # type: ignore[assignment]
        index = tried.index
        verdict = outcomes.judge(attempt)
        work.attempts[index] = (*work.attempts[index], attempt)
        meters.attempt(attempt)
        if verdict.answer is Answer.OK:
            return self._end(work, index, verdict)
        if verdict.retry is not Retry.NEVER and self._try_again(work, index, tried, verdict.retry):
            return None
        route = work.routes[index]
        assert route is not None  # noqa: S101  it was tried on one
        if verdict.key_refused and self._try_spare(work, index, tried, attempt, verdict):
            return None
        verdict = outcomes.blame(verdict, route.shared)
        return self._end(
            work,
            index,
            verdict,
            label=route.label,
            topic=tried.target.topic,
            project=tried.target.project,
            key_id=tried.target.secret.get("key_id", ""),
            host=attempt.host,
            status=attempt.status,
            reason=attempt.reason,
            detail=attempt.detail,
        )

    def _try_again(self, work: Work, index: int, tried: Try, retry: Retry) -> bool:
        """Start another try if the verdict and the time left allow it. Nothing sent is ever sent again here."""
        tries = len(work.attempts[index])
        if retry is Retry.SAFE:
            pause = PAUSE * 2 ** (tries - 1)
        elif retry is Retry.RENEW and tries == 1:
            pause = 0.0
        else:
            return False
        left = work.until[index] - self.loop.time() - pause
        if left < WORTH:
            return False
        tried.timeout = left
        self.loop.call_later(pause, self._send_again, work, index, tried)
        return True

    def _try_spare(self, work: Work, index: int, tried: Try, attempt: Attempt, verdict: Verdict) -> bool:
        """Start another try with the app's other credential, because this one was refused for its key."""
        route = work.routes[index]
        spare = self.routes.spare(route) if route is not None and route.target is tried.target else None
        left = work.until[index] - self.loop.time()
        if spare is None or left < WORTH:
            self.reporter.refused(tried.target, attempt, verdict)
            return False
        self._send_again(
            work,
            index,
            Try(
                tried.push,
                spare,
                tried.push_id,
                tried.expires_at,
                tried.app_version,
                left,
                self._tried_spare,
                work,
                index,
            ),
        )
        return True

    def _tried_spare(self, tried: Try, attempt: Attempt) -> None:
        work: Work = tried.batch  # type: ignore[assignment]
        route = work.routes[tried.index]
        assert route is not None  # noqa: S101  a spare is the spare of a route
        assert route.target is not None  # noqa: S101
        if self.reporter.spare_tried(route.target, tried.target, work.attempts[tried.index][-1], attempt):
            self.routes.fall_back(route.target.app_id, route.target.credential_id)
        self._tried(tried, attempt)

    def _send_again(self, work: Work, index: int, tried: Try) -> None:
        try:
            self.senders[tried.target.family].send(tried)
        except Exception:
            logger.exception("a push could not be tried again", extra={"trace": work.items[index].trace})
            self._end(work, index, outcomes.refusal("internal_error"))

    def _end(self, work: Work, index: int, verdict: Verdict, **details: object) -> None:
        """Note the end of one push; settle when the batch is complete, else in a moment together with others."""
        text = ""
        if verdict.answer is Answer.FAIL:
            item = work.items[index]
            text = outcomes.text(verdict, item.trace, **details)
            logger.log(
                logging.getLevelNamesMapping()[verdict.level.upper()],
                "push failed",
                extra={"trace": item.trace, "code": verdict.code, "customer": item.customer, "server": item.server},
            )
        work.ended.append((index, verdict, text))
        work.left -= 1
        if not work.left:
            if work.timer is not None:
                work.timer.cancel()
            # Not at once: while a batch is begun, ends that need no provider come in the middle of the loop over it.
            self.loop.call_soon(self.settler.settle, work)
        elif work.timer is None:
            gather = min(GATHER_MOST, max(GATHER, SHARE * (self.loop.time() - work.begun)))
            work.timer = self.loop.call_later(gather, self.settler.settle, work)


_here: Dispatcher | None = None


def here() -> Dispatcher:
    """This process's dispatcher."""
    global _here  # noqa: PLW0603  one per process, like its loop
    if _here is None:
        _here = Dispatcher()
    return _here
