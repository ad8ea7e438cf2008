"""Plans and their versions, as staff change them: prices change by another version, for those who subscribe then."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from django.core.exceptions import ValidationError
from django.db import transaction

from billing.models import Plan, PlanVersion, Subscription
from billing.money import text
from tenants.audit import recording
from tenants.changes import Changed
from tenants.problem import ProblemError

FIELDS: Final = (
    "currency",
    "price_minor",
    "period_months",
    "included_devices",
    "included_pushes",
    "included_servers",
    "device_price_minor",
    "sla",
    "trial_days",
    "payment_days",
    "restricted_after",
    "suspended_after",
    "ended_after",
)
"""What a version says."""


class Quoted(NamedTuple):
    """A version as it would be: its number, what differs from the latest one (before, after), and how many
    subscriptions keep an earlier one. Without differences it is the latest one itself."""

    version: int
    differs: dict[str, tuple[Any, Any]]
    kept_by: int


def add(*, code: str, name: str, basis: str, offer: str, description: str = "", listed: bool = False) -> Changed[Plan]:
    """Add a plan, which has no version yet; the same again changes nothing. Raises ProblemError."""
    values = {
        "name": name.strip(),
        "basis": basis,
        "offer": offer,
        "description": description.strip(),
        "listed": listed,
    }
    with transaction.atomic():
        there = Plan.objects.filter(code=code).first()
        if there is not None:
            if all(getattr(there, field) == value for field, value in values.items()):
                return Changed(there, changed=False)
            raise ProblemError(f"there is a plan {code} already, and it says something else", field="code")
        row = Plan(code=code, **values)
        check(row)
        row.save()
        recording.record("plan.add", customer=None, target=row, target_id=row.pk, basis=basis, offer=offer)
    return Changed(row, changed=True)


def preview(*, plan: Plan, wanted: Mapping[str, Any]) -> Quoted:
    """What add_version() would make. Raises ProblemError as that does."""
    latest, row = _next(plan, wanted)
    base = latest or PlanVersion(plan=plan)
    differs = {
        name: (getattr(base, name) if latest else None, getattr(row, name))
        for name in FIELDS
        if latest is None or getattr(base, name) != getattr(row, name)
    }
    kept_by = Subscription.objects.filter(version__plan=plan).count()
    return Quoted(row.version if differs else base.version, differs, kept_by)


def check(row: Plan | PlanVersion) -> None:
    """Raise ProblemError where a plan or a version is none, by the rules of its fields."""
    try:
        row.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        field, (why, *_) = next(iter(error.message_dict.items()))
        raise ProblemError(f"{field.replace('_', ' ')}: {why}", field=field) from None


def add_version(*, plan: Plan, wanted: Mapping[str, Any]) -> Changed[PlanVersion]:
    """Add a version of a plan, as the latest one but for what is `wanted` (of FIELDS); the same again changes nothing.

    Who has an earlier one keeps it. Raises ProblemError for days of reminders that do not follow each other.
    """
    with transaction.atomic():
        Plan.objects.select_for_update().get(pk=plan.pk)
        latest, row = _next(plan, wanted)
        if latest is not None and all(getattr(latest, name) == getattr(row, name) for name in FIELDS):
            return Changed(latest, changed=False)
        row.save()
        base = latest or PlanVersion()
        recording.record(
            "plan.version",
            customer=None,
            target=row,
            target_id=row.pk,
            before=text(base.price_minor, base.currency),
            after=text(row.price_minor, row.currency),
            period_months=row.period_months,
        )
    return Changed(row, changed=True)


def _next(plan: Plan, wanted: Mapping[str, Any]) -> tuple[PlanVersion | None, PlanVersion]:
    """The latest version, if there is one, and the one that would come after it."""
    latest = PlanVersion.objects.filter(plan=plan).order_by("-version").first()
    base = latest or PlanVersion(plan=plan, version=0)
    row = PlanVersion(plan=plan, version=base.version + 1)
    for name in FIELDS:
        setattr(row, name, wanted.get(name, getattr(base, name)))
    check(row)
    if not row.restricted_after <= row.suspended_after <= row.ended_after:
        raise ProblemError("restricted comes before suspended, and that before ended: change the days")
    return latest, row
