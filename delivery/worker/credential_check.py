"""Credential check: a push that reaches no phone, sent to the provider the very way every push is.

The push is for a device that nobody has, and of the right form. A provider looks at the key first, then at the topic or
project, and at the device last: whoever complains about the device has accepted the rest. A provider that can be asked
without delivering (Google, by validate_only) is asked so besides.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, Final, NamedTuple

import msgspec
from django.conf import settings
from django.db.models import F
from django.utils import timezone

from delivery.executors import BoundedExecutor
from delivery.http2.engine import Engine
from delivery.outcomes import judge
from delivery.outcomes.verdict import CLOCK, Attempt, Retry, Verdict
from delivery.protocol import policy
from delivery.protocol.wire import Push
from delivery.providers import table
from delivery.providers.base import Target, Try
from delivery.queue import shared_clock
from delivery.worker import refusal_incidents, routes
from tenants import redis_client, services, vault
from tenants.credentials import uploads
from tenants.directory import snapshot
from tenants.directory.snapshot import AppRow
from tenants.models import Credential, PushApp
from tenants.problem import ProblemError
from tenants.providers.table import PROVIDERS
from tenants.waiting_outside import outside

Step = Callable[[], AbstractContextManager[Any]]
# Seconds for everything: connection, access token and answer.
SECONDS: Final = 5.0
# Seconds that must be left for a second try.
WORTH: Final = 0.5
REFUSED_LATELY: Final = timedelta(minutes=5)
# A credential that has been refused for so long is nobody's any more: it is asked about by hand alone.
GIVEN_UP: Final = timedelta(days=30)
# Rechecks at the same time, and seconds for all of a round; the next round begins with those that waited longest.
RECHECKS: Final = 8
ROUND_SECONDS: Final = 240.0
_RECHECKS: Final = BoundedExecutor("rechecks of credentials", threads=RECHECKS, queued=0)
# Held while a round is under way, in whichever worker: it goes by itself after the longest that a round can take.
RUNNING: Final = "recheck:running"
OK: Final = "ok"
UNREADABLE: Final = "credential_unreadable"


class Result(NamedTuple):
    """Result of a credential check. `code` is OK or that of the verdict; `good`: pushes can be sent with it; `known`:
    it was about the credential or its app, not about the way there; `is_key_fault`: it was about the key itself.
    `meaning` and `fix` are for people."""

    code: str
    good: bool
    known: bool
    is_key_fault: bool
    meaning: str
    fix: str


class CredentialStatus(NamedTuple):
    """The status of a credential, as a page shows it: the kind of its mark (good, warn, bad), and a few words."""

    kind: str
    description: str


def status_of(credential: Credential, code: str) -> CredentialStatus:
    """What a code that was kept of a credential means. Only one of the credential itself is bad: others pass."""
    if code == OK:
        return CredentialStatus("good", "Good")
    if code == UNREADABLE:
        return CredentialStatus("bad", "Its secret cannot be opened")
    verdict = table.verdict_of(code)
    if verdict is None:
        return CredentialStatus("bad", "It is not accepted")
    trial = table.PROVIDERS[credential.app.family].trial
    ids = trial.ids(credential.kind, credential.key_id)
    details = {"topic": credential.app.topic, "key_id": ids["key_id"]}
    own = trial.descriptions.get(code)
    if own is not None:
        description = own[0].format(**details, team_id=ids["team_id"])
    else:
        cause = verdict.cause.replace(" ({detail})", "")
        description, _ = judge.cause_and_fix(msgspec.structs.replace(verdict, cause=cause), **details)
    return CredentialStatus(
        "bad" if verdict.is_credential_fault or (verdict.is_key_fault and verdict.attribution != "ours") else "warn",
        f"{description[:1].upper()}{description[1:]}",
    )


def check(credential: Credential, step: Step = nullcontext) -> Result:
    """Check a credential, of whichever slot, with its provider and record the result. Blocks for SECONDS at most.

    `step` opens what the rows are reached in; nothing of it is open while the provider is asked. What a provider says
    of a key while it refuses everybody's is nothing about the key.
    """
    with step():
        app = snapshot.app_row(credential)
    with outside():
        result = ask(app)
        if result.is_key_fault and refusal_incidents.known(app.family) is not None:
            fix = judge.REFUSES_EVERYBODY.format(name=PROVIDERS[app.family].name)
            result = result._replace(known=False, is_key_fault=False, fix=fix)
    with step():
        return record(credential, result)


def record(credential: Credential, result: Result) -> Result:
    """Write down what came of a check. Raises ProblemError where the credential is gone."""
    services.credential_checked(
        credential=credential,
        code=result.code,
        good=result.good,
        is_key_fault=result.is_key_fault and not result.good,
    )
    return result


def promote(*, app: PushApp, expected_id: int, step: Step = nullcontext) -> tuple[Credential, Result]:
    """Ask about the next credential, and promote it when it is good. Raises ProblemError when it is not, or cannot be
    asked about; then nothing has changed but what is known of it. `step`: as for check()."""
    with step():
        row = Credential.objects.filter(app=app, slot=Credential.Slot.NEXT).select_related("app__customer").first()
        if row is None or row.pk != expected_id:
            services.credential_promote(app=app, expected_id=expected_id)  # says what has become of it
            raise ProblemError("somebody else has just changed the credentials: look again")
    result = check(row, step)
    if not result.good:
        raise ProblemError(f"the next credential is not promoted ({result.code}): {result.meaning}; {result.fix}")
    with step():
        return services.credential_promote(app=app, expected_id=expected_id), result


def recheck() -> int:
    """Ask about the credentials that are refused, since one may be good again; how many are. Blocks for about
    ROUND_SECONDS at most; 0 at once where another round is under way.

    One that was refused within REFUSED_LATELY has just been asked about by a push. Raises redis.RedisError.
    """
    with redis_client.connect(SECONDS) as store:
        if not store.set(RUNNING, "1", nx=True, ex=int(ROUND_SECONDS + 4 * SECONDS)):
            return 0
        try:
            return _recheck_round(time.monotonic() + ROUND_SECONDS)
        finally:
            store.delete(RUNNING)


def _recheck_round(until: float) -> int:
    now = timezone.now()
    refused = Credential.objects.filter(
        refused_at__lt=now - REFUSED_LATELY, refused_at__gt=now - GIVEN_UP, app__enabled=True
    ).select_related("app__customer")
    waiting = list(refused.order_by(F("checked_at").asc(nulls_first=True)))
    good = 0
    while waiting and time.monotonic() < until:
        some, waiting = waiting[:RECHECKS], waiting[RECHECKS:]
        asked = [(row, _RECHECKS.submit(ask, snapshot.app_row(row))) for row in some]
        for row, result in asked:
            try:
                good += record(row, result.result()).good
            except ProblemError:  # it was removed meanwhile
                continue
    return good


def ask(app: AppRow) -> Result:
    """Ask about the credential of an app; nothing is written down. Blocks, so not on an event loop."""
    try:
        target = routes.target_of(app)
    except vault.VaultError as error:
        return Result(UNREADABLE, False, True, False, str(error), "upload the credential again")
    attempt = asyncio.run(_attempt(target))
    return _result(target, attempt, table.judge(attempt))


async def _attempt(target: Target) -> Attempt:
    loop = asyncio.get_running_loop()
    # Somebody waits for the answer: one dial that fails is one.
    engine = Engine(loop, settings.PROVIDER_CA_FILE, settings.HTTPS_PROXY, settings.NO_PROXY, patient=False)
    engine.clock.second_opinion = shared_clock.at_valkey
    provider = table.PROVIDERS[target.family]
    sender = provider.sender(engine, uploads.setting, True)
    push = Push(device_id=provider.trial.nobody, type="clear", version="2", platform=target.family)
    push_id = policy.push_id(0, push) if provider.takes_push_id else ""
    until = loop.time() + SECONDS

    async def send() -> Attempt:
        made: asyncio.Future[Attempt] = loop.create_future()
        sender.send(Try(push, target, push_id, 0, 2, until - loop.time(), lambda _, attempt: made.set_result(attempt)))
        return await made

    try:
        attempt = await send()
        # As every push: what was signed with a wrong time is signed anew, once.
        if table.judge(attempt).retry is Retry.RENEW and until - loop.time() > WORTH:
            attempt = await send()
        return attempt
    finally:
        await engine.close()


def _result(target: Target, attempt: Attempt, verdict: Verdict) -> Result:
    trial = table.PROVIDERS[target.family].trial
    if verdict.code in trial.good:
        return Result(OK, True, True, False, trial.accepted(target), "nothing to do")
    details = {
        "topic": target.topic,
        "project": target.project,
        "key_id": target.secret.get("key_id", ""),
        "host": attempt.host,
        "status": attempt.status,
        "reason": attempt.reason,
        "detail": attempt.detail,
    }
    meaning, fix = judge.cause_and_fix(verdict, **details)
    own = trial.special(verdict, attempt) or trial.descriptions.get(verdict.code)
    if own is not None:
        meaning, fix = (part.format(**details, team_id=target.secret.get("team_id", "")) for part in own)
    if CLOCK in attempt.detail:
        fix = f"set the clock of this machine first: {attempt.detail[attempt.detail.index(CLOCK) :]}"
    is_key_fault = verdict.is_key_fault and verdict.attribution == "customer" and CLOCK not in attempt.detail
    known = verdict.is_credential_fault and CLOCK not in attempt.detail
    return Result(verdict.code, False, known, is_key_fault, meaning, fix)
