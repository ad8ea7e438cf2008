"""The ledger's signing key (Ed25519, RFC 8032): made, rotated, sealed like every secret (tenants/vault.py).

The latest key signs, and only its secret is kept; the public keys of all stay and are published. The first key begins
the ledger: no customer's first day is before the day on which it was made.
"""

from datetime import datetime
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import transaction

from billing.models import SlaKey, SlaSecret
from billing.sla import ledger
from tenants import vault
from tenants.audit import recording
from tenants.problem import ProblemError

PURPOSE: Final = "sla-ledger"


class Signer:
    """Signs with the latest key."""

    def __init__(self, key: str, private: Ed25519PrivateKey) -> None:
        """Of a key's id and secret."""
        self.key, self._private = key, private

    def sign(self, message: bytes) -> str:
        """The signature in hex."""
        return self._private.sign(message).hex()


def new(*, now: datetime) -> SlaKey:
    """Make a key that signs from now on. The secret of the one before is deleted, its public key stays."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    sealed = vault.seal(private.private_bytes_raw(), PURPOSE)
    with transaction.atomic():
        made = SlaKey.objects.create(key=ledger.key_id(public), public=public.hex(), made_at=now)
        SlaSecret.objects.all().delete()
        SlaSecret.objects.create(key=made, sealed=sealed)
        recording.record("sla.key", customer=None, target=made.key)
    return made


def signer() -> Signer:
    """The signer of the latest key. Raises ProblemError without one, VaultError where it cannot be opened."""
    secret = SlaSecret.objects.select_related("key").order_by("-key__made_at").first()
    if secret is None:
        raise ProblemError("the ledger of the SLA has no key: make one by `sla key new`")
    return Signer(secret.key.key, Ed25519PrivateKey.from_private_bytes(vault.open_(secret.sealed, PURPOSE)))


def reseal() -> int:
    """Seal the secret with the primary key of VAULT_KEYS; how many were sealed anew. Raises VaultError."""
    changed = 0
    with transaction.atomic():
        for secret in SlaSecret.objects.select_for_update():
            fresh = vault.reseal(secret.sealed, PURPOSE)
            if fresh != secret.sealed:
                changed += SlaSecret.objects.filter(pk=secret.pk).update(sealed=fresh)
    return changed


def first_made_at() -> datetime | None:
    """When the first key was made; None: the ledger has not begun."""
    return SlaKey.objects.order_by("made_at").values_list("made_at", flat=True).first()


def public_keys() -> dict[str, str]:
    """The public keys (id: hex), old and new."""
    return dict(SlaKey.objects.values_list("key", "public"))
