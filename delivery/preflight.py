"""Asks Apple or Google about a credential without reaching a phone, the very way a push goes.

The push is for a device that nobody has, and of the right form. A provider looks at the key first, then at the topic or
project, and at the device last: whoever complains about the device has accepted the rest. Google is asked with
validate_only besides.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, NamedTuple

import msgspec
from django.conf import settings

from delivery import outcomes, policy, routes
from delivery.senders.apns import ApnsSender
from delivery.senders.base import Target, Try
from delivery.senders.fcm import FcmSender
from delivery.senders.http2 import Engine
from delivery.verdict import CLOCK, Attempt, Verdict
from delivery.wire import Push
from tenants import services, snapshot, vault
from tenants.models import Credential, PushApp
from tenants.problem import ProblemError
from tenants.snapshot import AppRow

Step = Callable[[], AbstractContextManager[Any]]
# Seconds for everything: connection, access token and answer.
SECONDS: Final = 5.0
NOBODY: Final = {"apns": "dead0400" + 56 * "0", "fcm": "invalid:APA91b" + 134 * "0"}
"""Device tokens of the right form that belong to nobody."""
OK: Final = "ok"
UNREADABLE: Final = "credential_unreadable"

_GOOD: Final = frozenset(
    ("sent", "apns_bad_device_token", "apns_unregistered", "apns_expired_token", "fcm_invalid_token")
) | {"fcm_unregistered"}
_WORDS: Final = {
    "apns_invalid_provider_token": (
        "Apple does not accept the key {key_id} of the team {team_id}",
        "check both ids; the key must be one for the Apple Push Notifications service, and not be revoked",
    ),
    "apns_bad_certificate": ("Apple refuses the certificate", "make a new one: this one is revoked, or not for pushes"),
    "fcm_unauthenticated": (
        "Google refuses the access token of the service account",
        "check again in a minute; if it lasts, make a new key of the service account",
    ),
    "fcm_invalid_argument": (
        "Google has accepted the account and not the question",
        "this is a fault of the push service; report it",
    ),
}
"""Other words than the table's, which speaks to somebody whose push has failed."""
_NO_GRANT: Final = (
    "Google does not accept the key of this service account any more ({detail})",
    "make a new key of the account in the Firebase console: the key was deleted, or the account switched off",
)


class Result(NamedTuple):
    """What a provider said. `code` is OK or that of the verdict; `good`: pushes can be sent with it; `known`: it was
    about the credential or its app, not about the way there; `refused`: it was about the key itself. `meaning` and
    `fix` are for people."""

    code: str
    good: bool
    known: bool
    refused: bool
    meaning: str
    fix: str


class Said(NamedTuple):
    """What a provider said, as a page shows it: the kind of the status mark (good, warn, bad), and a few words."""

    kind: str
    words: str


def said(credential: Credential, code: str) -> Said:
    """What a code that was kept of a credential means. Only one of the credential itself is bad: others pass."""
    if code == OK:
        return Said("good", "Good")
    if code == UNREADABLE:
        return Said("bad", "Its secret cannot be opened")
    verdict = outcomes.of_code(code)
    if verdict is None:
        return Said("bad", "It is not accepted")
    # As the label of a token key is made; what else was known when it was said is not kept.
    team_id, _, key_id = credential.key_id.rpartition("/") if credential.kind == "apns_key" else ("", "", "")
    details = {"topic": credential.app.topic, "key_id": key_id}
    own = _WORDS.get(code)
    if own is not None:
        words = own[0].format(**details, team_id=team_id)
    else:
        cause = verdict.cause.replace(" ({detail})", "")
        words, _ = outcomes.words(msgspec.structs.replace(verdict, cause=cause), **details)
    return Said("bad" if verdict.credential or verdict.key_refused else "warn", f"{words[:1].upper()}{words[1:]}")


def check(credential: Credential, step: Step = nullcontext) -> Result:
    """Ask about a credential, of whichever slot, and write down what was said. Blocks for SECONDS at most.

    `step` opens what the rows are reached in; nothing of it is open while the provider is asked.
    """
    with step():
        app = snapshot.app_row(credential)
    result = ask(app)
    with step():
        services.credential_checked(
            credential=credential, code=result.code, good=result.good, refused=result.refused and not result.good
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
    """Ask about every credential that is refused, since one may be good again; how many are. Blocks."""
    refused = Credential.objects.filter(refused_at__isnull=False, app__enabled=True).select_related("app__customer")
    good = 0
    for row in refused.order_by("refused_at"):
        try:
            good += check(row).good
        except ProblemError:  # it was removed meanwhile
            continue
    return good


def ask(app: AppRow) -> Result:
    """Ask about the credential of an app; nothing is written down. Blocks, so not on an event loop."""
    try:
        target = routes.target_of(app)
    except vault.VaultError as error:
        return Result(UNREADABLE, False, True, False, str(error), "upload the credential again")
    attempt = asyncio.run(_try(target))
    return _told(target, attempt, outcomes.judge(attempt))


async def _try(target: Target) -> Attempt:
    loop = asyncio.get_running_loop()
    engine = Engine(loop, settings.PROVIDER_CA_FILE, settings.HTTPS_PROXY, settings.NO_PROXY)
    sender: ApnsSender | FcmSender
    if target.family == "apns":
        sender = ApnsSender(engine)
    else:
        sender = FcmSender(engine, settings.GOOGLE_TOKEN_ORIGIN, only_ask=True)
    push = Push(device_id=NOBODY[target.family], type="clear", version="2", platform=target.family)
    made: asyncio.Future[Attempt] = loop.create_future()

    def done(_: Try, attempt: Attempt) -> None:
        made.set_result(attempt)

    push_id = policy.push_id(0, push) if target.family == "apns" else ""
    try:
        sender.send(Try(push, target, push_id, 0, 2, SECONDS, done))
        return await made
    finally:
        await engine.close()


def _told(target: Target, attempt: Attempt, verdict: Verdict) -> Result:
    if verdict.code in _GOOD:
        if target.family == "fcm":
            meaning = f"Google accepts this service account for project {target.project}"
        else:
            what = "key" if target.kind == "apns_key" else "certificate"
            meaning = f"Apple accepts this {what} for {target.topic}"
        return Result(OK, True, True, False, meaning, "nothing to do")
    details = {
        "topic": target.topic,
        "project": target.project,
        "key_id": target.secret.get("key_id", ""),
        "host": attempt.host,
        "status": attempt.status,
        "reason": attempt.reason,
        "detail": attempt.detail,
    }
    meaning, fix = outcomes.words(verdict, **details)
    own = _WORDS.get(verdict.code)
    if verdict.code == "credential_unusable" and "invalid_grant" in attempt.detail:
        own = _NO_GRANT
    if own is not None:
        meaning, fix = (part.format(**details, team_id=target.secret.get("team_id", "")) for part in own)
    if CLOCK in attempt.detail:
        fix = f"set the clock of this machine first: {attempt.detail[attempt.detail.index(CLOCK) :]}"
    refused = verdict.key_refused and verdict.attribution == "customer" and CLOCK not in attempt.detail
    known = verdict.credential and CLOCK not in attempt.detail
    return Result(verdict.code, False, known, refused, meaning, fix)
