"""Causing troubles in rows, and reading them as a page does, at one moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from delivery.insight.trouble import Trouble
from delivery.insight.troubles import troubles
from delivery.rollups import rebuilding
from tenants.models import Customer, Rejection, ServerKey
from tests.browsing import Tenant
from tests.delivery.rollups.pushes import HOUR, write
from tests.tenants.two_customers import page_of

NOW: Final = HOUR + timedelta(hours=2)


def pushes(acme: Tenant, verdict: Any, *, count: int = 1, minute: float = 100, **members: Any) -> None:
    """Pushes that came so many minutes after HOUR; count_all() is to follow."""
    members = {"customer": acme.customer.pk, "server": acme.server.pk, "app": None, **members}
    write(f"{verdict.code}-{minute}-{members['server']}", minute * 60, verdict, count=count, **members)


def count_all() -> None:
    """Fill the rollups."""
    rebuilding.rebuild(HOUR - timedelta(days=14), HOUR + timedelta(days=1))


def rejected(key: ServerKey, code: str, at: datetime = NOW, **members: Any) -> None:
    members = {"address": "192.0.2.7", "count": 12, "first_at": at - timedelta(hours=1), "encrypted": True, **members}
    Rejection.objects.create(key=key, code=code, last_at=at, **members)


@contextmanager
def in_page(acme: Tenant) -> Iterator[Customer]:
    with page_of(acme):
        yield Customer.objects.get()


def read(acme: Tenant, **filters: Any) -> list[Trouble]:
    with in_page(acme) as customer:
        return troubles(customer, now=NOW, **filters)


def only(acme: Tenant, **filters: Any) -> Trouble:
    found = read(acme, **filters)
    assert len(found) == 1, [each.sentence for each in found]
    return found[0]
