"""Google's push service (FCM) as the worker needs it: one row of the table of providers."""

import json
from collections.abc import Mapping
from typing import Final

from delivery.http2.engine import Engine
from delivery.outcomes.verdict import Attempt, Verdict
from delivery.protocol import policy
from delivery.protocol.wire import Push
from delivery.providers.base import Cause, CredentialTrial, Provider, Sender, Setting, Silence, Target
from delivery.providers.fcm.outcomes import OUTCOMES
from delivery.providers.fcm.sender import FcmSender


def _sender(engine: Engine, setting: Setting, dry_run: bool) -> Sender:
    return FcmSender(engine, setting("GOOGLE_TOKEN_ORIGIN"), dry_run=dry_run)


def _project(kind: str, secret: Mapping[str, str]) -> str:
    return str(json.loads(secret["account_json"])["project_id"])


def _accepted(target: Target) -> str:
    return f"Google accepts this service account for project {target.project}"


def _no_grant(verdict: Verdict, attempt: Attempt) -> tuple[str, str] | None:
    """The token endpoint's invalid_grant: the account, and not the way to it."""
    if verdict.code != "credential_unusable" or "invalid_grant" not in attempt.detail:
        return None
    return (
        "Google does not accept the key of this service account any more ({detail})",
        "make a new key of the account in the Firebase console: the key was deleted, or the account switched off",
    )


def _replaces(push: Push) -> bool:
    """Google has no id of ours, but Mattermost's app shows one notification for each post; what it does not show does
    the same when it comes twice. A call would ring anew."""
    if push.sub_type == "calls":
        return False
    return push.type in ("clear", "update_badge", "test") or policy.is_wipe(push) or push.post_id != ""


FCM: Final = Provider(
    family="fcm",
    origin=lambda host, setting: setting("FCM_ORIGIN"),
    sender=_sender,
    project=_project,
    takes_push_id=False,
    outcomes=OUTCOMES,
    trial=CredentialTrial(
        nobody="invalid:APA91b" + 134 * "0",
        good=frozenset(("sent", "fcm_invalid_token", "fcm_unregistered")),
        accepted=_accepted,
        descriptions={
            "fcm_unauthenticated": (
                "Google refuses the access token of the service account",
                "check again in a minute; if it lasts, make a new key of the service account",
            ),
            "fcm_invalid_argument": (
                "Google has accepted the account and not the question",
                "this is a fault of the push service; report it",
            ),
        },
        special=_no_grant,
    ),
    sandbox_phone="sandbox-phone:APA91b" + "5a" * 60,
    replaces=_replaces,
    silence=Silence(
        Cause(
            "Never acknowledged: battery saver, or an old app",
            "The pushes most likely do not get to the app: an Android phone acknowledges even where notifications are "
            "blocked. A battery saver stops the app, its user has forced it to stop, or it is too old to acknowledge.",
        ),
        Cause(
            "Stopped: app removed, battery saver, or offline",
            "The app was most likely removed without logging out, or a battery saver stops it; or the phone is "
            "switched off or offline. Blocked notifications are not the reason: Android acknowledges those, too.",
        ),
    ),
)
