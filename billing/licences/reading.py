"""Reads proven licences: what billing's other parts and pages go by."""

from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.utils import timezone

from billing import facts
from billing.licences import coverage, skus
from billing.licences.coverage import Coverage
from billing.licences.skus import Tier
from billing.models import LicenceProof
from tenants.models import Customer


class EntryTerms(NamedTuple):
    """What a licence of Mattermost Entry brings: the test service's terms, with this many pushes a month (None: the
    test service's own limit), until then."""

    push_limit: int | None
    expires_at: datetime


def proofs(customer: Customer, now: datetime | None = None) -> list[facts.Proof]:
    """The customer's living proofs of licences that include HPNS, the best first: what holds now and longest, then what
    is to come, then what has expired (and was not withdrawn), the latest first. None of Mattermost Entry: see entry().
    """
    found = [row for row in living(customer) if _tier(row) is Tier.HPNS]
    return [_fact(row) for row in coverage.best_first(found, now or timezone.now())]


def living(customer: Customer) -> list[LicenceProof]:
    """All proofs that were neither withdrawn nor replaced nor ended, also those that have expired; the newest first.

    Trials count as long as the operator takes them.
    """
    found = LicenceProof.objects.filter(customer=customer, ended_at=None).select_related("server")
    return [row for row in found if row.vouched or not row.is_trial or settings.LICENCE_TRIALS]


def customers(now: datetime) -> set[int]:
    """The ids of the customers in scope who have a living proof that holds at `now`, of whatever plan."""
    held = LicenceProof.objects.filter(ended_at=None, starts_at__lte=now, expires_at__gt=now)
    return set(held.values_list("customer_id", flat=True))


def covered(customer: Customer, now: datetime) -> Coverage | None:
    """Since when and until when licences that include HPNS hold without a gap around `now`; None: none holds now.

    `until` is what reminders count down to: a renewal that was uploaded ahead moves it.
    """
    return coverage.at(proofs(customer, now), now)


def entry(customer: Customer, now: datetime) -> EntryTerms | None:
    """The terms of the customer's licence of Mattermost Entry that holds now and longest; None without one."""
    held = [row for row in living(customer) if _tier(row) is Tier.ENTRY and row.starts_at <= now < row.expires_at]
    best = max(held, key=lambda row: row.expires_at, default=None)
    return EntryTerms(best.push_limit, best.expires_at) if best else None


def _tier(row: LicenceProof) -> Tier | None:
    sku = skus.of(row.sku)
    return sku.tier if sku else None


def _fact(row: LicenceProof) -> facts.Proof:
    return facts.Proof(
        id=row.pk,
        customer_id=row.customer_id,
        server_id=row.server_id,
        issuer=row.issuer,
        licence_id=row.licence_id,
        sku=row.sku,
        users=row.users,
        starts_at=row.starts_at,
        expires_at=row.expires_at,
        vouched=row.vouched,
    )
