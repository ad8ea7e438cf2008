"""Changes to credentials: what an app is signed with."""

from typing import Final

from django.db import transaction

from tenants import audit, credentials, vault
from tenants.changes import Changed, tell
from tenants.models import Credential, PushApp
from tenants.problem import ProblemError
from tenants.provider_files import Parsed

_FAMILY_OF_KIND: Final = {"apns_key": "apns", "apns_cert": "apns", "fcm_account": "fcm"}


def credential_add(*, app: PushApp, parsed: Parsed, slot: str = "current") -> Changed[Credential]:
    """Seal a credential and put it in a slot of the app; what was in the slot is deleted, secret and all."""
    if slot not in Credential.Slot.values:
        raise ProblemError(f"the slot must be one of {', '.join(Credential.Slot.values)}")
    if _FAMILY_OF_KIND[parsed.kind] != app.family:
        raise ProblemError(f"the app {app} is of the family {app.family}; this credential is for the other one")
    if parsed.topics and app.topic not in parsed.topics:
        raise ProblemError(f"the certificate is for {', '.join(sorted(parsed.topics))}, the app is {app.topic}")
    if parsed.hosts and app.host not in parsed.hosts:
        raise ProblemError(f"the certificate is for Apple's {' and '.join(parsed.hosts)} host, the app uses {app.host}")
    with transaction.atomic():
        # Two at once would both find the slot empty: the app's row is the gate.
        PushApp.objects.select_for_update().get(pk=app.pk)
        there = Credential.objects.filter(app=app, slot=slot).first()
        if there is not None:
            if _same(there, parsed):
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
        audit.record(
            "credential.add",
            customer=app.customer_id,
            target=row,
            target_id=row.pk,
            kind=parsed.kind,
            replaced=there.key_id if there is not None else None,
        )
        tell()
    return Changed(row, changed=True)


def credentials_reseal() -> int:
    """Seal every credential with the primary key of VAULT_KEYS, after which the other keys may go. How many changed."""
    changed = 0
    with transaction.atomic():
        for row in Credential.objects.select_for_update().order_by("pk"):
            try:
                sealed = credentials.reseal(row.app_id, row.sealed)
            except vault.VaultError as error:
                raise ProblemError(f"the credential {row.pk} of the app {row.app_id}: {error}") from error
            if sealed != row.sealed:
                changed += Credential.objects.filter(pk=row.pk, sealed=row.sealed).update(sealed=sealed)
        if changed:
            audit.record("credential.reseal", customer=None, target="all credentials", changed=changed)
            tell()
    return changed


def _same(there: Credential, parsed: Parsed) -> bool:
    try:
        return there.kind == parsed.kind and credentials.open_(there.app_id, there.sealed) == parsed.secret
    except vault.VaultError:
        return False  # Cannot be opened any more, which is why somebody adds it again.


def _sealed(app: PushApp, secret: dict[str, str]) -> str:
    try:
        return credentials.seal(app.pk, secret)
    except vault.VaultError as error:
        raise ProblemError(f"the credential cannot be sealed: {error}") from error
