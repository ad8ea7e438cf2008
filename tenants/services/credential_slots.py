"""Credential rotation: which of an app's two credentials signs, and how each fared at the provider.

Both slots change places in one step, so that there is no moment without a current credential. Pushes in flight are
not touched: each holds the secret that it was begun with.
"""

from datetime import datetime
from typing import NamedTuple

from django.db import transaction
from django.db.models import Case, Value, When
from django.utils import timezone

from tenants.audit import recording
from tenants.changes import Changed, notify_processes
from tenants.models import Credential, PushApp
from tenants.problem import ProblemError
from tenants.services.credentials import slots

CURRENT, NEXT = Credential.Slot.CURRENT, Credential.Slot.NEXT


class CredentialFault(NamedTuple):
    """What was written down of a refused credential: `news` is False when somebody has written it before; `fell_back`
    says that the other one signs now, which is `spare`."""

    credential: Credential
    news: bool
    fell_back: bool
    spare: Credential | None


def credential_promote(*, app: PushApp, expected_id: int) -> Credential:
    """Let the next credential sign, and the current one wait in its place; returns the one that signs now.

    `expected_id` is the credential that the caller has tried and means. When somebody else was quicker, nothing changes
    and ProblemError says so.
    """
    with transaction.atomic():
        there = slots(app.pk)
        row = there.get(NEXT)
        if row is None or row.pk != expected_id:
            current = there.get(CURRENT)
            if current is not None and current.pk == expected_id:
                raise ProblemError(f"somebody else has just promoted this credential of the app {app}")
            raise ProblemError(f"somebody else has just changed the credentials of the app {app}: look again")
        if row.expires_at is not None and row.expires_at <= timezone.now():
            raise ProblemError(f"the next credential of the app {app} has expired: upload another one")
        if row.refused_at is not None:
            raise ProblemError(f"the next credential of the app {app} is refused ({row.refused_code}): check it again")
        _swap(app.pk)
        before = there.get(CURRENT)
        recording.record(
            "credential.promote",
            customer=app.customer_id,
            target=row,
            target_id=row.pk,
            before=before.key_id if before is not None else None,
        )
        notify_processes(app.customer_id)
    row.slot = CURRENT
    return row


def credential_record_fault(*, app_id: int, credential_id: int, code: str, spare_id: int = 0) -> CredentialFault | None:
    """Write down that the provider refuses a credential for its key, once, whoever tells it and however often.

    With `spare_id`, the credential that was taken in its place and was accepted, the two change places; unless somebody
    has changed them meanwhile. None when the credential, or its app, is there no more.
    """
    with transaction.atomic():
        if not PushApp.objects.filter(pk=app_id).exists():
            return None
        there = slots(app_id)
        row = next((one for one in there.values() if one.pk == credential_id), None)
        if row is None:
            return None
        spare = there.get(NEXT)
        swap = spare_id != 0 and spare is not None and spare.pk == spare_id and spare.refused_at is None
        swap = swap and row.slot == CURRENT
        news = row.refused_at is None
        if news:
            row.refused_at, row.refused_code = timezone.now(), code
            Credential.objects.filter(pk=row.pk).update(refused_at=row.refused_at, refused_code=code)
        if swap:
            _swap(app_id)
        if news or swap:
            recording.record(
                "credential.fall_back" if swap else "credential.refused",
                customer=row.app.customer_id,
                target=row,
                target_id=row.pk,
                code=code,
                instead=spare.key_id if swap and spare is not None else None,
            )
            notify_processes(row.app.customer_id)
    return CredentialFault(row, news or swap, swap, spare if swap else None)


def credential_checked(
    *, credential: Credential, code: str, good: bool, is_key_fault: bool, at: datetime | None = None
) -> Changed[Credential]:
    """Record what the provider said of a credential when it was asked; `is_key_fault`: its key is not accepted.

    A credential that is good again is no longer refused. `changed` says whether the code is another than before.
    """
    at = at or timezone.now()
    with transaction.atomic():
        row = slots(credential.app_id).get(credential.slot)
        if row is None or row.pk != credential.pk:
            row = Credential.objects.filter(pk=credential.pk).select_related("app__customer").first()
        if row is None:
            raise ProblemError("somebody else has just removed this credential")
        changed = row.check_code != code
        row.checked_at, row.check_code = at, code
        spare_changed = True
        if good and row.refused_at is not None:
            row.refused_at, row.refused_code = None, ""
        elif is_key_fault and row.refused_at is None:
            row.refused_at, row.refused_code = at, code
        else:
            spare_changed = False
        row.save(update_fields=["checked_at", "check_code", "refused_at", "refused_code"])
        # The service asks every few minutes about what is refused; only its news are worth a line.
        if changed or spare_changed or recording.actor() != recording.SERVICE:
            recording.record("credential.check", customer=row.app.customer_id, target=row, target_id=row.pk, code=code)
        if spare_changed:
            notify_processes(row.app.customer_id)
    return Changed(row, changed)


def _swap(app_id: int) -> None:
    """Both at once: the database looks at the one-per-slot rule when the statement is done."""
    Credential.objects.filter(app_id=app_id).update(
        slot=Case(When(slot=Value(CURRENT), then=Value(NEXT)), default=Value(CURRENT)), signs_since=timezone.now()
    )
