"""Apple's push service (APNs) as the worker needs it: one row of the table of providers."""

from typing import Final

from delivery.http2.engine import Engine
from delivery.protocol import policy
from delivery.protocol.wire import Push
from delivery.providers.apns.outcomes import OUTCOMES
from delivery.providers.apns.sender import ApnsSender
from delivery.providers.base import Cause, CredentialTrial, Provider, Sender, Setting, Silence, Target


def _origin(host: str, setting: Setting) -> str:
    return setting("APNS_SANDBOX_ORIGIN" if host == "sandbox" else "APNS_ORIGIN")


def _sender(engine: Engine, setting: Setting, dry_run: bool) -> Sender:
    """Apple has no way to only ask: the device that nobody has is enough."""
    return ApnsSender(engine)


def _accepted(target: Target) -> str:
    what = "key" if target.kind == "apns_key" else "certificate"
    return f"Apple accepts this {what} for {target.topic}"


def _ids(kind: str, key_id: str) -> dict[str, str]:
    """As the label of a token key is made; what else was known when it was tried is not kept."""
    team_id, _, own = key_id.rpartition("/") if kind == "apns_key" else ("", "", "")
    return {"team_id": team_id, "key_id": own}


def _replaces(push: Push) -> bool:
    """By its collapse id. A call has none, and rings anew."""
    return policy.collapse_id(push) != ""


APNS: Final = Provider(
    family="apns",
    origin=_origin,
    sender=_sender,
    takes_push_id=True,
    outcomes=OUTCOMES,
    trial=CredentialTrial(
        nobody="dead0400" + 56 * "0",
        good=frozenset(("sent", "apns_bad_device_token", "apns_unregistered", "apns_expired_token")),
        accepted=_accepted,
        descriptions={
            "apns_invalid_provider_token": (
                "Apple does not accept the key {key_id} of the team {team_id}",
                "check both ids; the key must be one for the Apple Push Notifications service, and not be revoked",
            ),
            "apns_bad_certificate": (
                "Apple refuses the certificate",
                "make a new one: this one is revoked, or not for pushes",
            ),
        },
        ids=_ids,
    ),
    sandbox_phone="5a" * 32,
    replaces=_replaces,
    silence=Silence(
        Cause(
            "Never acknowledged: notifications off, or an old app",
            "Notifications are most likely switched off for the app: an iPhone acknowledges only what it may show. "
            "Else the app is too old to acknowledge.",
        ),
        Cause(
            "Stopped: notifications off, app removed, or offline",
            "Its user has most likely switched notifications off for the app, which an iPhone then does not "
            "acknowledge; or removed the app without logging out; or the phone is switched off or offline.",
        ),
    ),
)
