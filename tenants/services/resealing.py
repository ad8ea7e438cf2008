"""Key rotation: re-encrypts all secrets with the first key of VAULT_KEYS, after which the other keys may go.

Rows are taken a few at a time, each few in a transaction of its own, so that a run may be interrupted at any moment and
be run again; what was sealed anew stays so. A row that cannot be opened does not keep the others.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from django.db import transaction

from tenants import vault
from tenants.audit import recording
from tenants.changes import notify_of_anything
from tenants.credentials import sealing
from tenants.models import Credential
from tenants.problem import ProblemError
from tenants.services.second_factors import second_factors_reseal

# Rows of one transaction: pushes wait for none of them, but whoever changes one of them waits.
BATCH_SIZE: Final = 50


def credentials_reseal() -> int:
    """Seal every credential anew; how many changed. Raises ProblemError at the end for those that cannot be opened."""
    changed, last, errors = 0, 0, []
    while True:
        with transaction.atomic():
            rows = list(Credential.objects.select_for_update().filter(pk__gt=last).order_by("pk")[:BATCH_SIZE])
            if not rows:
                break
            last, fresh = rows[-1].pk, 0
            for row in rows:
                try:
                    sealed = sealing.reseal(row.app_id, row.sealed)
                except vault.VaultError as error:
                    errors.append(f"the credential {row.pk} of the app {row.app_id}: {error}")
                    continue
                if sealed != row.sealed:
                    fresh += Credential.objects.filter(pk=row.pk).update(sealed=sealed)
            if fresh:
                recording.record("credential.reseal", customer=None, target="all credentials", changed=fresh)
                notify_of_anything()
        changed += fresh
    if errors:
        raise ProblemError(f"{len(errors)} could not be opened (see `credential doctor`); {errors[0]}")
    return changed


# What is sealed, and who seals it anew: each returns how many rows it has changed, and raises ProblemError at its end.
RESEALERS: Final[Mapping[str, Callable[[], int]]] = MappingProxyType(
    {"credentials": credentials_reseal, "second_factors": second_factors_reseal}
)


def reseal(resealers: Mapping[str, Callable[[], int]] = RESEALERS) -> dict[str, int]:
    """Run every resealer; by name, how many rows each has changed. Raises ProblemError after all had their turn.

    Keep the old keys in VAULT_KEYS until this returns.
    """
    changed, errors = {}, []
    for name, run in resealers.items():
        try:
            changed[name] = run()
        except ProblemError as error:
            errors.append(f"{name}: {error}")
    if errors:
        raise ProblemError("; ".join(errors))
    return changed
