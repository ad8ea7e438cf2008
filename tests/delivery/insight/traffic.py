"""Pushes of the last hours, for tests of pages that speak of now."""

import itertools
from datetime import timedelta
from typing import Any, Final

from django.utils import timezone

from delivery.outcomes.verdict import Verdict
from delivery.providers import table
from delivery.rollups import rebuilding
from tests.browsing import Tenant
from tests.delivery.rollups.pushes import HOUR, write

REFUSED: Final = table.PROVIDERS["apns"].outcomes.answers[403, "InvalidProviderToken"]
_TRACES: Final = itertools.count(1)


def came(one: Tenant, verdict: Verdict, *, ago: float = 5, count: int = 1, **members: Any) -> None:
    """Pushes of a customer's server that came so many minutes ago; count_all() is to follow."""
    second = (timezone.now() - HOUR).total_seconds() - 60 * ago
    members = {"customer": one.customer.pk, "server": one.server.pk, "app": None, **members}
    write(f"aaaaaaaaaaaa-{next(_TRACES):x}", second, verdict, count=count, **members)


def count_all(hours: int = 26) -> None:
    """Fill the rollups of the last hours."""
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    rebuilding.rebuild(hour - timedelta(hours=hours), hour + timedelta(hours=1))
