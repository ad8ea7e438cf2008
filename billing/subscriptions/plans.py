"""Plans and their versions, as staff change them: prices change by another version, for those who subscribe then."""

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction

from billing.models import Plan, PlanVersion
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


def add_version(*, plan: Plan, wanted: Mapping[str, Any]) -> Changed[PlanVersion]:
    """Add a version of a plan, as the latest one but for what is `wanted` (of FIELDS); the same again changes nothing.

    Who has an earlier one keeps it. Raises ProblemError for days of reminders that do not follow each other.
    """
    with transaction.atomic():
        Plan.objects.select_for_update().get(pk=plan.pk)
        latest = PlanVersion.objects.filter(plan=plan).order_by("-version").first()
        base = latest or PlanVersion(plan=plan, version=0)
        values = {name: wanted.get(name, getattr(base, name)) for name in FIELDS}
        if not values["restricted_after"] <= values["suspended_after"] <= values["ended_after"]:
            raise ProblemError("restricted comes before suspended, and that before ended: change the days")
        if latest is not None and all(getattr(latest, name) == value for name, value in values.items()):
            return Changed(latest, changed=False)
        row = PlanVersion.objects.create(plan=plan, version=base.version + 1, **values)
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
