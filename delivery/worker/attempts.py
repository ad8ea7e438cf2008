"""Delivers the pushes of a batch: route, send, judge, retry where it is safe, and note the end of each.

Invariant: every push that is begun ends in exactly one verdict, or goes to the due list (retries.py), within its
deadline. Nothing here waits; senders call back.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from django.conf import settings

from delivery.devices.dead import DeadDevices
from delivery.devices.remove_fuse import RemoveFuse
from delivery.http2.engine import Engine
from delivery.metrics import counting
from delivery.outcomes import judge
from delivery.outcomes.verdict import Answer, Attempt, Retry, Verdict
from delivery.protocol import policy, schedule
from delivery.providers import table
from delivery.providers.base import Target, Try
from delivery.queue import batch
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.begun_marks import BegunMarks, may_show_twice
from delivery.worker.breaker import Breakers
from delivery.worker.credential_reports import Reporter
from delivery.worker.due_room import DueRoom
from delivery.worker.gone_devices import GoneDevices
from delivery.worker.incident_watch import IncidentWatch
from delivery.worker.parked_pushes import ParkedPushes
from delivery.worker.retries import WORTH, Retries
from delivery.worker.routes import Routes
from delivery.worker.settlement import Settler
from tenants.credentials import uploads

logger = logging.getLogger(__name__)

# Seconds that finished pushes of an unfinished batch wait for company before they are settled.
GATHER = 0.003
# When a provider takes long anyway, a tenth of what it took may be waited, up to this: fewer settlements cost less.
GATHER_MOST, SHARE = 0.010, 0.1
# A push that comes out of the queue when a slow provider (3 s) could not answer in what is left of its time, or nothing
# is left, gets a fresh window, and a longer one, for others wait with it; its server is told OK meanwhile. Shorter than
# what a worker waits for as it stops (DRAIN_SECONDS of hpns/celery/pool.py).
LATE, LATE_WINDOW = 3.0, 6.0
# After these a push of the due list that is not tried again is not too old, but has had its tries.
_FINAL: Final = frozenset((Retry.ONCE, Retry.RENEW))
_LEVELS: Final = logging.getLevelNamesMapping()  # made anew at each call


class Deliverer:
    """Sends the pushes of batches and follows their attempts to a verdict; one per worker process, on its loop.

    reporter gets the credential faults, settler the batches with ended pushes; fuse judges who says a device is gone.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        engine: Engine,
        reporter: Reporter,
        settler: Settler,
        fuse: RemoveFuse,
        dead: DeadDevices,
    ) -> None:
        self.routes = Routes()
        self._loop, self._reporter, self._settler = loop, reporter, settler
        self._gone = GoneDevices(fuse, dead, settings.PUSH_DEADLINE)
        self._clock = engine.clock
        self.breakers = Breakers(loop.time)
        self._incidents = IncidentWatch(settler.link, loop)
        self._marks = BegunMarks(settler.link, loop, self._send, self._on_interrupted)
        self.retries = Retries(loop, DueRoom(settler.link, loop), self._send_again, self._on_deferred)
        self._parked = ParkedPushes(settler.link, loop, self.breakers, self.retries)
        self._senders = {
            family: provider.sender(engine, uploads.setting, False) for family, provider in table.PROVIDERS.items()
        }
        self._with_push_id = frozenset(family for family, provider in table.PROVIDERS.items() if provider.takes_push_id)
        # Read once: a look into Django's settings costs as much as a look-up of a route.
        self._attempt_deadline, self._push_deadline = settings.ATTEMPT_DEADLINE, settings.PUSH_DEADLINE
        self._public_url = settings.PUBLIC_URL

    def begin(self, work: BatchProgress, index: int, item: batch.Item, now: float, clock: float) -> None:
        """Start a push's first attempt, or end it where none is to be made; now: the shared time, clock: the loop's."""
        push = item.push
        age = max(0.0, now - item.at)  # clocks that agree may be a little apart all the same
        lifetime = policy.lifetime(push)
        if age > lifetime:
            return self.end(work, index, judge.refusal("expired"))
        window = self._attempt_deadline - age
        if window < LATE:
            if push.type == "test" and age >= self._push_deadline:
                return self.end(work, index, judge.refusal("late_test"), seconds=int(self._push_deadline))
            window = max(self._attempt_deadline, LATE_WINDOW)
        route = work.routes[index] = self.routes.known(item.customer if item.key else 0, push.platform)
        target = route.target
        if target is None:
            return self.end(work, index, route.refusal or judge.refusal("no_app"), label=route.label)
        work.deadlines[index] = clock + window
        if self.breakers.troubled and self._hold_back(work, index, target):
            return None
        target.first_tries += 1
        family = target.family
        push_id = policy.push_id(item.server, push) if family in self._with_push_id else ""
        expires_at = int(self._clock.now() - age) + lifetime
        first = Try(push, target, push_id, expires_at, route.version, window, self._tried, work, index, item.customer)
        if may_show_twice(first):
            return self._marks.send(work, index, first)
        return self._senders[family].send(first)

    def begin_again(self, work: BatchProgress, now: float, clock: float) -> None:
        """Start the next attempt of the push of the due list that this batch is, or end it where it is too old."""
        item = work.items[0]
        push, age = item.push, max(0.0, now - item.at)
        if not schedule.is_worth(schedule.of(push), age):
            attempts = work.attempts[0]
            return self.end(work, 0, judge.expired(table.judge(attempts[-1]) if attempts else judge.refusal("expired")))
        route = work.routes[0] = self.routes.find(item.customer if item.key else 0, push.platform)
        target = route.target
        if target is None:
            return self.end(work, 0, route.refusal or judge.refusal("no_app"), label=route.label)
        if self.breakers.troubled and self._hold_back(work, 0, target):
            return None
        if not self.retries.begin_due(work, target):
            return self.breakers.on_let_go(target, (work, 0))
        work.deadlines[0] = clock + LATE_WINDOW
        push_id = policy.push_id(item.server, push) if target.family in self._with_push_id else ""
        expires_at = int(self._clock.now() - age) + policy.lifetime(push)
        again = Try(push, target, push_id, expires_at, route.version, LATE_WINDOW, self._tried, work, 0, item.customer)
        return self._marks.send(work, 0, again) if may_show_twice(again) else self._send(work, 0, again)

    def _hold_back(self, work: BatchProgress, index: int, target: Target) -> bool:
        """Whether a push is not sent now, because its provider gives no answers: it is tried later, or has ended."""
        pause = self.breakers.wait(target, (work, index), counts=work.claim is None)
        if not pause:
            return False
        if not self._parked.put_off(work, index, target, pause):
            verdict, (host, reason) = judge.refusal("provider_away"), self.breakers.trouble(target)
            verdict = verdict if work.claim is None else judge.expired(verdict)
            self.end(work, index, verdict, host=host, reason=reason)
        else:
            self._marks.take_back(work, index)
        return True

    def _tried(self, tried: Try, attempt: Attempt) -> None:
        work: BatchProgress = tried.batch  # type: ignore[assignment]
        index = tried.index
        try:
            verdict = table.judge(attempt)
            work.attempts[index] = (*work.attempts[index], attempt)
            counting.attempt(attempt, verdict.code)
            if self.breakers.troubled or verdict.answer is not Answer.OK:
                self.breakers.on_attempt(tried.target, (work, index), attempt, again=len(work.attempts[index]) > 1)
            if verdict.answer is Answer.OK:
                self._gone.accepted(work.items[index], tried)
                return self.end(work, index, verdict if work.claim is None else _of_late(work.attempts[index], verdict))
            if verdict.answer is Answer.REMOVE or verdict.remove_when_proven:
                verdict = self._gone.judge(work.items[index], tried, verdict, attempt)
                if work.claim is not None and verdict.answer is Answer.REMOVE:
                    verdict = _of_late(work.attempts[index], verdict)
            if verdict.retry is not Retry.NEVER:
                if self.retries.try_again(work, index, tried, attempt, verdict.retry):
                    self._marks.take_back(work, index)
                    return None
                if work.claim is not None and verdict.retry not in _FINAL:
                    verdict = judge.expired(verdict)
            route = work.routes[index]
            assert route is not None  # noqa: S101  it was tried on one
            if verdict.is_key_fault and self._try_spare(work, index, tried, attempt, verdict):
                return None
            return self.end(
                work,
                index,
                self._incidents.attributed(verdict, tried.target.family, shared=route.shared),
                label=route.label,
                topic=tried.target.topic,
                project=tried.target.project,
                key_id=tried.target.secret.get("key_id", ""),
                host=attempt.host,
                status=attempt.status,
                reason=attempt.reason,
                detail=attempt.detail,
            )
        except Exception:
            # The sender that called us cannot help it.
            logger.exception("an attempt could not be judged", extra={"trace": work.items[index].trace})
            self.end(work, index, judge.refusal("internal_error"))

    def _try_spare(self, work: BatchProgress, index: int, tried: Try, attempt: Attempt, verdict: Verdict) -> bool:
        """Start another try with the app's other credential, because this one was refused for its key."""
        route = work.routes[index]
        spare = self.routes.spare(route) if route is not None and route.target is tried.target else None
        remaining = work.deadlines[index] - self._loop.time()
        if spare is None or remaining < WORTH:
            self._reporter.report_fault(tried.target, attempt, verdict)
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
                remaining,
                self._tried_spare,
                work,
                index,
                tried.tenant,
            ),
        )
        return True

    def _tried_spare(self, tried: Try, attempt: Attempt) -> None:
        work: BatchProgress = tried.batch  # type: ignore[assignment]
        try:
            route = work.routes[tried.index]
            assert route is not None and route.target is not None  # noqa: S101, PT018  a spare is the spare of a route
            first = work.attempts[tried.index][-1]
            if self._reporter.spare_tried(route.target, tried.target, first, attempt):
                self.routes.fall_back(route.target.app_id, route.target.credential_id)
        except Exception:
            logger.exception("an attempt could not be judged", extra={"trace": work.items[tried.index].trace})
            self.end(work, tried.index, judge.refusal("internal_error"))
        else:
            self._tried(tried, attempt)

    def _send_again(self, work: BatchProgress, index: int, tried: Try) -> None:
        if self.breakers.troubled and self._hold_back(work, index, tried.target):
            return
        if may_show_twice(tried):
            self._marks.send(work, index, tried)
        else:
            self._send(work, index, tried)

    def _send(self, work: BatchProgress, index: int, tried: Try) -> None:
        """Send what has waited, within what is left of its time."""
        tried.timeout = work.deadlines[index] - self._loop.time()
        try:
            self._senders[tried.target.family].send(tried)
        except Exception:
            logger.exception("a push could not be sent", extra={"trace": work.items[index].trace})
            self.end(work, index, judge.refusal("internal_error"))

    def _on_interrupted(self, work: BatchProgress, index: int, tried: Try) -> None:
        self.breakers.on_let_go(tried.target, (work, index))
        self.end(work, index, judge.refusal("interrupted"))

    def end(self, work: BatchProgress, index: int, verdict: Verdict, **details: object) -> None:
        """Note the end of one push; settle when the batch is complete, else in a moment together with others."""
        if index not in work.open:
            return  # it was ended for its deadline, or for a fault of ours
        text = ""
        if verdict.answer is Answer.FAIL:
            item = work.items[index]
            text = judge.text(verdict, item.trace, self._public_url, **details)
            logger.log(
                _LEVELS[verdict.level.upper()],
                "push failed",
                extra={"trace": item.trace, "code": verdict.code, "customer": item.customer, "server": item.server},
            )
        work.ended.append((index, verdict, text))
        work.open.discard(index)
        if work.answer is not None:
            work.answer(index, verdict.answer, text)
        self._settle_in_time(work)

    def _on_deferred(self, work: BatchProgress, index: int, is_put_off: bool) -> None:
        if not is_put_off:  # else there is a line for many
            item = work.items[index]
            logger.info("a push is tried again later", extra={"trace": item.trace, "customer": item.customer})
        self._settle_in_time(work)

    def _settle_in_time(self, work: BatchProgress) -> None:
        if work.answer is not None:
            if work.holder:  # what is not sent again must not end otherwise than its server was told
                self._loop.call_soon(self._settler.settle, work)
            elif not work.is_due:
                self._settler.settle_soon(work)
        elif not work.open:
            if work.timer is not None:
                work.timer.cancel()
            # Not at once: while a batch is begun, ends that need no provider come in the middle of the loop over it.
            self._loop.call_soon(self._settler.settle, work)
        elif work.timer is None:
            gather = min(GATHER_MOST, max(GATHER, SHARE * (self._loop.time() - work.started_at)))
            work.timer = self._loop.call_later(gather, self._settler.settle, work)


def _of_late(attempts: Sequence[Attempt], verdict: Verdict) -> Verdict:
    """The verdict on a push of the due list that its provider has dealt with: an event of the SLA only where we had a
    part in its being late."""
    ours = any(table.judge(attempt).attribution == "ours" for attempt in attempts[:-1])
    return verdict if ours else judge.late_by_others(verdict)
