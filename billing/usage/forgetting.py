"""Erases what is kept of a customer's usage, closed months as well: by the owner of the tables alone."""

from typing import Final

from django.db import connection

from billing.models import UsageCorrection, UsageLimit, UsageMonth, UsageNotice, UsageRunning
from tenants.fence import TenantModel
from tenants.models import Customer

ROWS: Final[tuple[type[TenantModel], ...]] = (UsageCorrection, UsageMonth, UsageRunning, UsageNotice, UsageLimit)
_OWNER: Final = "customer"
_OPEN: Final = "SELECT set_config('hpns.erasure', %s, true)"


def erase(customer: Customer) -> None:
    """Delete all of it, in the transaction that erases the customer. See migrations/0004_usage.py."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(current_setting('hpns.erasure', true), '')")
        (before,) = cursor.fetchone()
        cursor.execute(_OPEN, ["on"])
        for model in ROWS:
            model.objects.filter(**{_OWNER: customer}).delete()
        cursor.execute(_OPEN, [before])
