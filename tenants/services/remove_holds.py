"""Holds on REMOVE: made when the fuse has tripped, ended when it no longer has, or by a person's word."""

from datetime import timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from tenants.audit import recording
from tenants.changes import Changed, notify_processes
from tenants.models import Credential, Customer, RemoveHold
from tenants.problem import ProblemError

# How long nobody is written to again about the same, however often it trips and ends.
MAIL_AGAIN: Final = timedelta(days=1)


def remove_hold_trip(
    *, customer_id: int, credential_id: int, devices: int, tokens: int, code: str
) -> tuple[RemoveHold, bool] | None:
    """Hold the removal of a customer's devices of this credential, once; the hold, and whether an e-mail is due.

    devices: how many would have been removed, of how many tokens; code: what was said of the last of them. None where
    it was held before, or customer or credential are there no more.
    """
    with transaction.atomic():
        customer = Customer.objects.select_for_update().order_by("pk").filter(pk=customer_id).first()
        credential = Credential.objects.filter(pk=credential_id).select_related("app__customer").first()
        if customer is None or credential is None:
            return None
        there = RemoveHold.objects.filter(customer=customer, credential=credential).first()
        if there is not None and there.held_at is not None:
            return None
        hold = there or RemoveHold(customer=customer, credential=credential, app=credential.app)
        now = timezone.now()
        is_due = hold.mailed_at is None or now - hold.mailed_at > MAIL_AGAIN
        hold.held_at, hold.devices, hold.tokens, hold.code = now, devices, tokens, code
        hold.mailed_at = now if is_due else hold.mailed_at
        hold.save()
        recording.record(
            "remove.hold",
            customer=customer_id,
            target=credential,
            target_id=credential_id,
            code=code,
            devices=devices,
            tokens=tokens,
        )
        notify_processes(customer_id)
    return hold, is_due


def remove_hold_release(*, hold: RemoveHold, by_hand: bool) -> Changed[RemoveHold]:
    """End a hold: because fewer devices would be removed now, or (by_hand) because somebody knows that they are gone,
    which lifts the fuse for a while."""
    with transaction.atomic():
        there = RemoveHold.objects.select_for_update(of=("self",)).filter(pk=hold.pk).first()
        if there is None:
            raise ProblemError("the credential is not there any more, and nothing is held of it")
        if there.held_at is None:
            return Changed(there, changed=False)
        there.held_at = None
        if by_hand:
            there.released_at = timezone.now()
        there.save(update_fields=["held_at", "released_at"])
        recording.record(
            "remove.release", customer=there.customer_id, target=there.credential_id, target_id=there.credential_id
        )
        notify_processes(there.customer_id)
    return Changed(there, changed=True)
