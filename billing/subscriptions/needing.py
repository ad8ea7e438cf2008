"""Which subscriptions need somebody, and what for: of the staff's list, their first page and `subscription list`."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Exists, OuterRef, Q, QuerySet

from billing.models import LicenceCase, LicenceProof, Subscription

SOON: Final = timedelta(days=14)
LICENCE_SOON: Final = timedelta(days=60)
# In the order in which they come.
NEEDS: Final = {
    "trial": f"trial ends within {SOON.days} days",
    "licence": f"licence ends within {LICENCE_SOON.days} days",
    "past_due": "past due or restricted",
    "suspending": f"suspended within {SOON.days} days",
    "stopped": "suspended",
    "double": "licence in double use",
    "vouched": "licence vouched for",
    "cancelled": "cancelled, not ended",
    "served": "served by agreement",
}


def needing(rows: QuerySet[Subscription], need: str, now: datetime) -> QuerySet[Subscription]:
    """Those of the rows for which it is so, each once. Raises KeyError for what is not in NEEDS."""
    return rows.filter(_CONDITIONS[need](now))


def _state(*states: str, **more: Any) -> Q:
    return Q(last_standing__state__in=states, **more)


def _doubly_used(_now: datetime) -> Q:
    """Its customer wants the licence of another, or another wants its customer's, and nobody has decided."""
    cases = LicenceCase.objects.filter(resolved_at=None, kind=LicenceCase.Kind.DOUBLE_USE)
    same = cases.filter(issuer=OuterRef("issuer"), licence_id=OuterRef("licence_id"))
    held = LicenceProof.objects.filter(Exists(same), customer=OuterRef("customer"), ended_at=None)
    return Q(Exists(cases.filter(customer=OuterRef("customer")))) | Q(Exists(held))


def _vouched(now: datetime) -> Q:
    held = LicenceProof.objects.filter(vouched=True, ended_at=None, expires_at__gt=now)
    return Q(Exists(held.filter(customer=OuterRef("customer"))))


def _served(now: datetime) -> Q:
    overrides = Subscription.objects.filter(overrides__withdrawn_at=None, overrides__until__gt=now)
    return Q(Exists(overrides.filter(pk=OuterRef("pk"))))


_CONDITIONS: Final[dict[str, Callable[[datetime], Q]]] = {
    "trial": lambda now: _state("trial", trial_ends_at__lte=now + SOON),
    "licence": lambda now: _state("active", basis="licence", last_standing__next_change_at__lte=now + LICENCE_SOON),
    "past_due": lambda _: _state("past_due", "restricted"),
    "suspending": lambda now: _state("restricted", last_standing__next_change_at__lte=now + SOON),
    "stopped": lambda _: _state("suspended"),
    "double": _doubly_used,
    "vouched": _vouched,
    "cancelled": lambda now: Q(cancel_at__gt=now),
    "served": _served,
}
