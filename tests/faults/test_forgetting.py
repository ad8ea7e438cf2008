"""What is kept of erased customers goes when its years are over: by a worker, which has been told to by its queue."""

from datetime import UTC, datetime

import psycopg
import pytest

from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for

ENQUEUE = """
import django
django.setup()
import hpns.celery
from tenants.tasks import forget_erased
forget_erased.delay()
"""
# Beyond those of any customer here.
DUE, NOT_DUE = 9_001, 9_002
YEARS = 6


@pytest.fixture
def acme(service: Stage) -> int:
    """Acme's number, with events of three customers: long erased, erased a day later, and not erased at all."""
    first = datetime(datetime.now(UTC).year - YEARS, 1, 1, tzinfo=UTC)
    long_ago, last_of_the_due = datetime(2001, 1, 1, tzinfo=UTC), datetime(first.year - 1, 12, 31, 23, tzinfo=UTC)
    with psycopg.connect(service.postgres.url) as connection:
        found = connection.execute("SELECT id FROM tenants_customer WHERE slug = 'acme'").fetchone()
        assert found is not None
        events = [
            *((customer, "customer.add", long_ago) for customer in (DUE, NOT_DUE, found[0])),
            *((DUE, "customer.erase", last_of_the_due), (NOT_DUE, "customer.erase", first)),
        ]
        connection.cursor().executemany(
            "INSERT INTO tenants_auditevent (customer_id, action, at, actor_kind, actor, target, details) "
            "VALUES (%s, %s, %s, 'command', 'x', '', '{}')",
            events,
        )
        return int(found[0])


def kept(service: Stage, customer: int) -> list[str]:
    """The actions that are in the log of a customer, those of long ago and of its erasure."""
    with psycopg.connect(service.postgres.url) as connection:
        query = "SELECT action FROM tenants_auditevent WHERE customer_id = %s AND at < now() - interval '1 year'"
        return sorted(action for (action,) in connection.execute(query, (customer,)))


def test_what_is_due_is_forgotten_and_said_and_what_is_not_due_stays(service: Stage, acme: int) -> None:
    service.run("-c", ENQUEUE)
    wait_for(lambda: not kept(service, DUE), PATIENCE, "what is due goes")
    assert kept(service, NOT_DUE) == ["customer.add", "customer.erase"]
    assert kept(service, acme) == ["customer.add"]
    (line,) = [line for line in service.log("worker").splitlines() if "are deleted that were kept of customers" in line]
    assert "WARNING" in line
    assert "2 audit events" in line
    assert line.rstrip().endswith(f"by their numbers: {DUE}")
