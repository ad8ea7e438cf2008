"""Changes to credentials: what an app is signed with."""

from django.db import transaction

from tenants import vault
from tenants.audit import recording
from tenants.changes import Changed, notify_processes
from tenants.credentials import sealing
from tenants.models import Credential, PushApp
from tenants.problem import ProblemError
from tenants.providers.base import Parsed
from tenants.providers.table import PROVIDERS


def credential_add(*, app: PushApp, parsed: Parsed, slot: str = "current") -> Changed[Credential]:
    """Seal a credential and put it in a slot of the app; what was in the slot is deleted, secret and all."""
    if slot not in Credential.Slot.values:
        raise ProblemError(f"the slot must be one of {', '.join(Credential.Slot.values)}")
    provider = PROVIDERS[app.family]
    if parsed.kind not in provider.kinds:
        raise ProblemError(f"the app {app} is of the family {app.family}: give {provider.files}")
    if parsed.topics and app.topic not in parsed.topics:
        raise ProblemError(f"the certificate is for {', '.join(sorted(parsed.topics))}, the app is {app.topic}")
    if parsed.hosts and app.host not in parsed.hosts:
        raise ProblemError(
            f"the certificate is for {provider.name}'s {' and '.join(parsed.hosts)} host, the app uses {app.host}"
        )
    with transaction.atomic():
        there = slots(app.pk).get(slot)
        if there is not None:
            if credential_holds(there, parsed):
                return Changed(there, changed=False)
            there.delete()
        row = Credential.objects.create(
            app=app,
            slot=slot,
            kind=parsed.kind,
            sealed=_sealed(app, parsed.secret),
            key_id=parsed.key_id,
            expires_at=parsed.expires_at,
        )
        recording.record(
            "credential.add",
            customer=app.customer_id,
            target=row,
            target_id=row.pk,
            kind=parsed.kind,
            replaced=there.key_id if there is not None else None,
        )
        notify_processes(app.customer_id)
    return Changed(row, changed=True)


def credential_remove(*, app: PushApp, slot: str = "next", expected_id: int | None = None) -> Credential:
    """Delete the credential of a slot, secret and all; returns what it was. The current one goes only when it is named.

    `expected_id` is the credential that the caller means: it must still be the one in the slot.
    """
    if slot not in Credential.Slot.values:
        raise ProblemError(f"the slot must be one of {', '.join(Credential.Slot.values)}")
    with transaction.atomic():
        there = slots(app.pk)
        row = there.get(slot)
        if row is None:
            raise ProblemError(f"the app {app} has no {slot} credential")
        if expected_id is not None and row.pk != expected_id:
            raise ProblemError(f"somebody else has just changed the credentials of the app {app}: look again")
        if slot == Credential.Slot.CURRENT and Credential.Slot.NEXT in there:
            raise ProblemError("there is a next credential: promote that one first, then the old one can be removed")
        recording.record(
            "credential.remove", customer=app.customer_id, target=row, target_id=row.pk, kind=row.kind, slot=slot
        )
        Credential.objects.filter(pk=row.pk).delete()
        notify_processes(app.customer_id)
    return row


def slots(app_id: int) -> dict[str, Credential]:
    """The credentials of an app by slot, with the app's row locked: that is the gate for every change to them."""
    if PushApp.objects.select_for_update().order_by("pk").filter(pk=app_id).first() is None:
        raise ProblemError("the app is not there any more")
    return {row.slot: row for row in Credential.objects.filter(app_id=app_id).select_related("app__customer")}


def credential_holds(there: Credential, parsed: Parsed) -> bool:
    """Whether a credential is just this one."""
    try:
        return there.kind == parsed.kind and sealing.open_(there.app_id, there.sealed) == parsed.secret
    except vault.VaultError:
        return False  # Cannot be opened any more, which is why somebody adds it again.


def _sealed(app: PushApp, secret: dict[str, str]) -> str:
    try:
        return sealing.seal(app.pk, secret)
    except vault.VaultError as error:
        raise ProblemError(f"the credential cannot be sealed: {error}") from error
