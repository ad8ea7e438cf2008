"""Whether a customer may add servers, keys and apps: not while its subscription is restricted, and within its quotas.

Every process knows all keys and apps, so that those of one customer cost everybody. Whoever is asked here holds the
lock of the customer until its transaction ends: of two that add the last one, one is refused.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from tenants.models import Customer, Entitlement, PushApp, Server, ServerKey
from tenants.problem import ProblemError

DAY: Final = timedelta(days=1)
# Of a server: one installation has one, and another one after each restored database.
SERVER_IDS_MAX: Final = 20


class _Kind(NamedTuple):
    """What counts: the entitlement's column, those that there are now, those that were ever made, and what to do."""

    quota: str
    present: Callable[[int], "QuerySet[Any]"]
    made: Callable[[int], "QuerySet[Any]"]
    remedy: str


_KINDS: Final = {
    "servers": _Kind(
        "server_quota",
        lambda customer: Server.objects.filter(customer=customer),
        lambda customer: Server.objects.filter(customer=customer),
        "rename one that is not used any more",
    ),
    "keys": _Kind(
        "key_quota",
        lambda customer: ServerKey.objects.filter(ServerKey.in_use(), server__customer=customer),
        lambda customer: ServerKey.objects.filter(server__customer=customer),
        "revoke those that are not used any more",
    ),
    "apps": _Kind(
        "app_quota",
        lambda customer: PushApp.objects.filter(customer=customer, enabled=True),
        lambda customer: PushApp.objects.filter(customer=customer),
        "disable those that are not used any more",
    ),
}


def check_may_grow(customer_id: int, what: str, *, made_anew: bool = True) -> None:
    """Raise ProblemError for a customer that may not add `what` ("servers", "keys", "apps") now. In a transaction.

    `made_anew`: a row is made, of which there may be so many in a day, since one that is revoked or disabled stays.
    """
    kind = _KINDS[what]
    # Not so strong a lock that whoever refers to the customer would wait for it.
    Customer.objects.select_for_update(no_key=True).filter(pk=customer_id).first()
    entitlement = Entitlement.objects.filter(customer_id=customer_id).first()
    if entitlement is None:
        return
    if not entitlement.may_grow:
        raise ProblemError(
            f"no {what} can be added while the subscription is past due or has ended: the subscription page says what "
            "is open. What there is stays as it is"
        )
    quota = getattr(entitlement, kind.quota)
    if quota is None:
        return
    if kind.present(customer_id).count() >= quota:
        raise ProblemError(
            f"{quota} {what} are all that can be had here: {kind.remedy}, or ask for more ({settings.SUPPORT_CONTACT})"
        )
    if made_anew and kind.made(customer_id).filter(created_at__gt=timezone.now() - DAY).count() >= quota:
        raise ProblemError(
            f"{quota} new {what} in a day are the most: go on tomorrow, or ask for more ({settings.SUPPORT_CONTACT})"
        )
