"""The only writer of tenants.Entitlement: what a customer's agreement means for the path of a push.

Each change is one transaction, audited, and told to the running processes, where it is in force within two seconds.
"""

from collections.abc import Mapping

from django.db import transaction

from billing import locks
from billing.models import UsageLimit
from billing.offers import TERMS, Limits
from tenants.audit import recording
from tenants.changes import Changed, notify_processes
from tenants.models import Customer, Entitlement
from tenants.problem import ProblemError

_LIMITS = Limits._fields
# More would not fit the column, and limits nobody.
_LIMIT_MAX = 1_000_000_000


def grant(*, customer: Customer) -> Entitlement:
    """Entitle a new customer to what its offer includes."""
    terms = TERMS[customer.offer]
    with transaction.atomic():
        row = Entitlement.objects.create(
            customer=customer,
            may_use_shared=terms.may_use_shared,
            tls_required=terms.tls_required,
            **terms.limits._asdict(),
        )
        notify_processes(customer.pk)
    return row


def withdraw(*, customer: Customer) -> None:
    """Delete what a customer is entitled to: it is about to be erased."""
    with transaction.atomic():
        Entitlement.objects.filter(customer=customer).delete()
        notify_processes(customer.pk)


def change(*, customer: Customer, **wanted: bool | int | str | None) -> Changed[Entitlement]:
    """Set some of what a customer is entitled to: `active`, `may_use_shared`, `tls_required`, `may_use_server_id`, what
    follows from its subscriptions (`refusal`, a code of delivery's; `may_grow`), or any of offers.Limits (None: no
    limit). Raises ProblemError for a rate without a burst, and for limits below 1.
    """
    _check_sizes(wanted)
    with transaction.atomic():
        row = locks.entitlement(customer.pk)
        if row is None:
            raise ProblemError(f"{customer.slug} has no entitlement: it was erased in the meantime")
        changes = {name: value for name, value in wanted.items() if getattr(row, name) != value}
        if not changes:
            return Changed(row, changed=False)
        before = {name: getattr(row, name) for name in changes}
        for name, value in changes.items():
            setattr(row, name, value)
        check({name: getattr(row, name) for name in _LIMITS})
        row.save()
        for name, value in changes.items():
            action = "limit.change" if name in _LIMITS else "entitlement.change"
            recording.record(action, customer=customer, target=name.replace("_", " "), before=before[name], after=value)
        notify_processes(customer.pk)
    return Changed(row, changed=True)


def _beside_quota(customer: Customer, limits: Limits) -> dict[str, int | None]:
    """The limits of an offer that can be in force now: while a quota has lowered the rate, that stays, and the offer's
    is what comes when it ends."""
    found = limits._asdict()
    lowered = UsageLimit.objects.filter(customer=customer, ended_at=None)
    if lowered.update(rate_before=limits.rate, burst_before=limits.burst):
        del found["rate"], found["burst"]
    return found


def check(wanted: Mapping[str, bool | int | str | None]) -> None:
    """Whether limits make sense together. Raises ProblemError for a rate without a burst, and for one below 1."""
    _check_sizes(wanted)
    for rate, burst in (("rate", "burst"), ("server_rate", "server_burst")):
        if (wanted.get(rate) is None) != (wanted.get(burst) is None):
            raise ProblemError(f"set {rate.replace('_', ' ')} and {burst.replace('_', ' ')} both, or neither")


def _check_sizes(wanted: Mapping[str, bool | int | str | None]) -> None:
    for name, value in wanted.items():
        if name not in _LIMITS or not isinstance(value, int):
            continue
        if value < 1:
            raise ProblemError(f"{name.replace('_', ' ')} must be at least 1, or empty for no limit")
        if value > _LIMIT_MAX:
            raise ProblemError(f"{name.replace('_', ' ')} must be at most {_LIMIT_MAX:,}: leave it empty for no limit")


def to_offer(*, customer: Customer, offer: str) -> Changed[Customer]:
    """Move a customer to another offer, with that offer's terms and limits."""
    if offer not in TERMS:
        raise ProblemError(f"the offer must be one of {', '.join(TERMS)}")
    with transaction.atomic():
        there = locks.customer(customer.pk)
        if there is None:
            raise ProblemError(f"{customer.slug} was erased in the meantime")
        if there.offer == offer:
            return Changed(there, changed=False)
        before, there.offer = there.offer, offer
        there.save(update_fields=["offer"])
        terms = TERMS[offer]
        change(
            customer=there,
            may_use_shared=terms.may_use_shared,
            tls_required=terms.tls_required,
            **_beside_quota(there, terms.limits),
        )
        recording.record("offer.change", customer=there, target=there.name, before=before, after=offer)
        notify_processes(there.pk)
    return Changed(there, changed=True)
