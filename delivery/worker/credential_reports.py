"""Reports credential faults to the database and the people: beside the path of a push, retried until it succeeds.

What a worker finds out it uses at once (delivery/worker/routes.py); this writes it into PostgreSQL, where the first who
comes changes it and all others find it done, and sends the e-mail. Invariant: reporting holds up no push, and what
waits here is bounded by the number of credentials, e-mails by MAILS_MOST.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import redis
from django.db import Error as DatabaseError
from django.db import connections

from delivery.executors import BoundedExecutor, ExecutorFullError
from delivery.metrics import refusal_counts
from delivery.outcomes.verdict import CLOCK, Attempt, Outcome, Verdict
from delivery.providers import table
from delivery.providers.base import Target
from delivery.queue import handover, shared_clock, valkey
from delivery.worker import refusal_incidents
from tenants import mail, redis_client, services
from tenants.credentials import mails
from tenants.models import Credential
from tenants.problem import ProblemError, first_line

logger = logging.getLogger(__name__)

# Seconds before the same is reported again: its credential may have been good in between.
AGAIN: Final = 60.0
# Seconds between two tries while PostgreSQL is away.
PAUSE: Final = 5.0
# Seconds before each try to send the e-mail.
MAIL_PAUSES: Final = (0.0, 30.0, 300.0)
# E-mails that one process has to send at a time.
MAILS_MOST: Final = 100
# Seconds before news are looked at while a report is held back, and for Valkey.
NEWS: Final = 0.5
STORE_TIMEOUT: Final = 2.0
# What web processes hand over (delivery/queue/handover.py): a list, and how many of it are kept.
REPORTED: Final = "credentials:reported"
REPORTED_MOST: Final = 1_000
# One thread each: a silent mail server must not hold up the database, nor either of them a push.
_REPORTS: Final = BoundedExecutor("reports of credentials", threads=1, queued=1)
_MAILS: Final = BoundedExecutor("e-mails about credentials", threads=1, queued=MAILS_MOST)


class Report(NamedTuple):
    """A credential of this provider's family that was refused with this code; `spare_id` was accepted in its place, 0
    when nothing was. at: when, in unix seconds of the shared clock, 0 where it is not known."""

    app_id: int
    credential_id: int
    code: str
    spare_id: int = 0
    family: str = ""
    at: float = 0.0


class Reporter:
    """One per worker process, on its loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reported: dict[int, tuple[int, float]] = {}
        self._waiting: dict[int, Report] = {}
        # When each of them was noted, for the fuse that looks at all of them.
        self._noted: dict[int, float] = {}
        self._wake = asyncio.Event()
        self._mails: set[asyncio.Task[None]] = set()

    def report_fault(self, target: Target, attempt: Attempt, verdict: Verdict) -> None:
        """Report that a target's credential was refused, unless our own clock may be why."""
        if _blames_credential(attempt, verdict):
            self.report(_report(target, verdict))

    def spare_tried(self, target: Target, spare: Target, first: Attempt, attempt: Attempt) -> bool:
        """Whether the provider accepted the spare after it had refused the target's credential; reports either.

        Not where our clock may be why: the other one may only have been signed at a better moment.
        """
        verdict = table.judge(first)
        if not _blames_credential(first, verdict):
            return False
        if table.judge(attempt).outcome not in (Outcome.SENT, Outcome.GONE):
            self.report_fault(target, first, verdict)
            return False
        self.report(_report(target, verdict, spare.credential_id))
        return True

    def report(self, report: Report) -> None:
        """Take a report; the same again within AGAIN seconds is none. Returns at once."""
        reported, now = self._reported.get(report.credential_id), time.monotonic()
        if reported is not None and now - reported[1] < AGAIN and report.spare_id in (0, reported[0]):
            return
        self._reported[report.credential_id] = (report.spare_id, now)
        if report.spare_id or report.credential_id not in self._waiting:
            self._waiting[report.credential_id] = report
        self._wake.set()

    async def run(self) -> None:
        """Write down what was reported, until cancelled."""
        while True:
            while self._waiting:  # looked at first, since this may be a restart
                await self._record_next()
            self._wake.clear()
            await self._wake.wait()

    async def _record_next(self) -> None:
        fresh = [each for number, each in self._waiting.items() if number not in self._noted]
        if fresh and not await self._note(fresh):
            await asyncio.sleep(NEWS)
            return
        credential_id, report = next(iter(self._waiting.items()))
        held = self._noted[credential_id] + refusal_incidents.HOLD - time.monotonic()
        if held > 0:
            await asyncio.sleep(min(held, NEWS))  # the next are noted meanwhile
            return
        # To the end: one that cannot be written down must not stand in the way of the others.
        self._waiting[credential_id] = self._waiting.pop(credential_id)
        try:
            done = await _REPORTS.run(follow_up, report)
        except (DatabaseError, ProblemError, ExecutorFullError) as error:
            logger.warning("a refused credential cannot be written down yet: %s", first_line(error))
            await asyncio.sleep(PAUSE)
            return
        except Exception:
            # A fault of ours: the reports behind it shall be written down. The next refusal reports it again.
            logger.exception("the refused credential %d cannot be written down", credential_id)
            done = None
        if self._waiting.get(credential_id) is report:
            del self._waiting[credential_id]
            del self._noted[credential_id]
        if isinstance(done, refusal_incidents.Incident):
            refusal_counts.held(report.family)
        elif done is not None and done.news:
            self.mail(credential_id, partial(_send, done))

    def mail(self, credential_id: int, send: Callable[[], None]) -> None:
        """Send an e-mail about a credential beside all else, trying again; `send` blocks, and raises mail.MailError."""
        if len(self._mails) >= MAILS_MOST:
            logger.error("the e-mail about the credential %d is not sent: %d others wait", credential_id, MAILS_MOST)
            return
        mailing = self._loop.create_task(self._mail(credential_id, send))
        self._mails.add(mailing)
        mailing.add_done_callback(self._mails.discard)

    async def _note(self, reports: list[Report]) -> bool:
        """Note refused credentials for the fuse; False: another time. Where a store is away it holds up nothing."""
        try:
            await _REPORTS.run(_note, reports)
        except ExecutorFullError:
            return False
        except (DatabaseError, redis.RedisError) as error:
            logger.warning("refused credentials cannot be noted: %s", first_line(error))
        except Exception:
            logger.exception("refused credentials cannot be noted")
        now = time.monotonic()
        self._noted |= {each.credential_id: now for each in reports}
        return True

    async def _mail(self, credential_id: int, send: Callable[[], None]) -> None:
        for pause in MAIL_PAUSES:
            await asyncio.sleep(pause)
            try:
                await _MAILS.run(send)
            except (mail.MailError, DatabaseError, ExecutorFullError) as error:
                logger.warning("the e-mail about the credential %d was not sent: %s", credential_id, error)
            except Exception:
                logger.exception("the e-mail about the credential %d could not be made", credential_id)
                return
            else:
                return


class ForwardingReporter(Reporter):
    """Of a process that writes nothing to the database: hands its reports to whichever worker writes the log next."""

    def __init__(self, loop: asyncio.AbstractEventLoop, link: valkey.Link) -> None:
        super().__init__(loop)
        self._link = link

    async def _record_next(self) -> None:
        if not self._link.up:
            await asyncio.sleep(PAUSE)
            return
        reports = list(self._waiting.values())
        self._waiting.clear()
        handover.post(self._link, REPORTED, reports, REPORTED_MOST)


def forwarded(store: redis.Redis) -> list[Report]:
    """Take the reports that web processes have handed over. Blocks; raises what the store raises."""
    found: list[Report] = []
    handover.drain(store, REPORTED, lambda rows: found.extend(Report(*row) for row in rows))
    return found


def _report(target: Target, verdict: Verdict, spare_id: int = 0) -> Report:
    return Report(
        target.app_id, target.credential_id, verdict.code, spare_id, target.family, round(shared_clock.now(), 3)
    )


def _blames_credential(attempt: Attempt, verdict: Verdict) -> bool:
    return verdict.attribution == "customer" and CLOCK not in attempt.detail


def _note(reports: list[Report]) -> None:
    try:
        with redis_client.connect(STORE_TIMEOUT) as store:
            refusal_incidents.note(
                store,
                [refusal_incidents.Refusal(each.family, each.app_id, each.credential_id, each.at) for each in reports],
            )
    finally:
        connections.close_all()


def follow_up(report: Report) -> services.CredentialFault | refusal_incidents.Incident | None:
    """Write one report down, unless its provider refuses too many for that to be the credentials' fault: then its
    incident. Blocks; raises django.db.Error."""
    incident = refusal_incidents.known(report.family)
    if incident is None:
        return record_fault(report)
    logger.error(
        "that the credential %d is refused (%s) is not marked: its provider refuses %d credentials of %d customers",
        *(report.credential_id, report.code, incident.credentials, incident.customers),
    )
    return incident


def record_fault(report: Report) -> services.CredentialFault | None:
    """Write one report down. Blocks; raises django.db.Error."""
    try:
        fault = services.credential_record_fault(
            app_id=report.app_id, credential_id=report.credential_id, code=report.code, spare_id=report.spare_id
        )
    finally:
        connections.close_all()
    if fault is not None and fault.news:
        instead = "the other one signs now" if fault.fell_back else "pushes of its app fail"
        logger.error("the credential %d is refused (%s): %s", report.credential_id, report.code, instead)
    return fault


def _send(fault: services.CredentialFault) -> None:
    row = fault.credential
    try:
        others = Credential.objects.filter(app_id=row.app_id).exclude(pk=row.pk).first()
        mails.credential_fault(row, fault.spare, None if fault.spare else others)
    finally:
        connections.close_all()
