"""The order of locks: with two real connections, whoever locks a customer's row waits for its entitlement before."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django import Settings

from billing import customers, entitlements, locks
from billing.licences import proving, vouching
from tenants.models import Customer
from tests.billing.licences import making

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("valkey")]
DEADLINE = 20.0
# Locks that this connection holds and another one waits for; unlike pg_stat_activity, read anew within a transaction.
BLOCKED = (
    "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"
    " AND pg_backend_pid() = ANY (pg_blocking_pids(pid))"
)


def upload(customer: Customer) -> Any:
    return proving.upload(customer=customer, data=making.made(), now=making.NOW)


def vouch(customer: Customer) -> Any:
    until = timezone.now().replace(year=timezone.now().year + 1)
    return vouching.vouch(
        customer=customer, sku="enterprise", users=5, expires_at=until, reason="the order", now=timezone.now()
    )


ACTS: dict[str, Callable[[Customer], Any]] = {
    "upload": upload,
    "vouch": vouch,
    "offer": lambda customer: entitlements.to_offer(customer=customer, offer="eas"),
    "erase": lambda customer: customers.erase(customer=customer),
}


def in_another_connection(act: Callable[[Customer], Any], customer: Customer) -> None:
    try:
        act(customer)
    finally:
        connection.close()


def until_somebody_waits() -> None:
    """Until another connection of this database waits for a row's lock."""
    ends = time.monotonic() + DEADLINE
    while time.monotonic() < ends:
        with connection.cursor() as cursor:
            cursor.execute(BLOCKED)
            if cursor.fetchone()[0]:
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits")


@pytest.mark.parametrize("name", ACTS)
def test_who_changes_a_customer_while_it_is_judged_waits_and_holds_nothing_that_judging_needs(
    name: str, settings: Settings, tmp_path: Any
) -> None:
    settings.LICENCE_KEYS = making.key_folder(tmp_path / "issuers")
    customer = customers.add(name="Acme", offer="hpns").row
    customers.suspend(customer=customer, reason="unpaid")
    with ThreadPoolExecutor(1) as other:
        with transaction.atomic():
            assert locks.entitlement(customer.pk) is not None
            waiting = other.submit(in_another_connection, ACTS[name], customer)
            until_somebody_waits()
            # The other one would be waited for here, and PostgreSQL would end one of both.
            assert Customer.objects.select_for_update(nowait=True).get(pk=customer.pk)
        waiting.result(timeout=DEADLINE)
