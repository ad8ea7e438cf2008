"""Second factors, where not their owners change them: re-encryption of the secrets, and reset."""

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.auth.models import User
from django.db import transaction

from tenants import vault
from tenants.audit import recording
from tenants.problem import ProblemError

# What the secrets of second factors are sealed for; see vault.py.
PURPOSE = "second factor"


def second_factors_reseal() -> int:
    """Seal every secret of a second factor with the primary key of VAULT_KEYS. How many rows changed."""
    changed = 0
    with transaction.atomic():
        for row in Authenticator.objects.select_for_update().order_by("pk"):
            try:
                data = {name: _reseal(value) for name, value in row.data.items()}
            except vault.VaultError as error:
                raise ProblemError(f"the second factor {row.pk} of the user {row.user_id}: {error}") from error
            if data != row.data:
                row.data = data
                row.save(update_fields=("data",))
                changed += 1
        if changed:
            recording.record("second_factor.reseal", customer=None, target="all second factors", changed=changed)
    return changed


def second_factor_reset(*, user: User) -> int:
    """Take all second factors of somebody away who has lost them, and end their sessions. How many there were."""
    with transaction.atomic():
        rows = list(Authenticator.objects.select_for_update().filter(user=user))
        for row in rows:
            row.delete()
        end_sessions(user)
        if rows:
            kinds = ", ".join(sorted(row.type for row in rows))
            recording.record("second_factor.reset", customer=None, target=user.email, target_id=user.pk, kinds=kinds)
    return len(rows)


def end_sessions(user: User, *, but: str | None = None) -> int:
    """End every session of somebody, except the one of the key `but`. How many were ended."""
    ended = 0
    for session in UserSession.objects.filter(user=user).exclude(session_key=but):
        session.end()
        ended += 1
    return ended


def _reseal(value: object) -> object:
    """A sealed text anew; everything else as it is: a mask of used codes, a key's name, a public key."""
    if isinstance(value, list):
        return [_reseal(one) for one in value]
    if isinstance(value, str) and value.startswith(f"{vault.TEXT_VERSION}:"):
        return vault.reseal(value, PURPOSE)
    return value
