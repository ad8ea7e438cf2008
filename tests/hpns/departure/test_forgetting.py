"""What is kept of an erased customer, and until when: agreements for some years, events about documents as those."""

from datetime import UTC, datetime

import pytest
import redis
from django.db import connection
from pytest_django import Settings

from billing import customers
from billing.invoices.erasing import forget
from tenants import services
from tenants.audit import recording
from tenants.models import AuditEvent
from tests.hpns.departure.test_erasure import erase, run
from tests.tenants.two_customers import Cast, two_customers

pytestmark = pytest.mark.django_db
# When the documents' years are over.
FAR = datetime(2040, 1, 1, tzinfo=UTC)


@pytest.fixture
def cast(valkey: redis.Redis) -> Cast:
    """Acme is suspended."""
    made = two_customers()
    customers.suspend(customer=made.acme.customer, reason="it leaves")
    return made


def test_what_was_kept_is_forgotten_after_the_years_of_the_law(cast: Cast, settings: Settings) -> None:
    erase()
    forget(now=FAR)
    kept = AuditEvent.objects.filter(customer_id=cast.acme.customer.pk)
    assert run("forget") == {"deleted_events": 0, "customers_whose_documents_went": 0}
    assert kept.count() == 2
    settings.AGREEMENT_YEARS = -1  # as if the year after the next had begun
    others = AuditEvent.objects.exclude(customer_id=cast.acme.customer.pk).count()
    assert run("forget") == {"deleted_events": 2, "customers_whose_documents_went": 0}
    assert not kept.exists()
    assert AuditEvent.objects.count() == others


def test_events_about_documents_are_kept_as_long_as_the_documents(cast: Cast, settings: Settings) -> None:
    customer = cast.acme.customer.pk
    for action in ("invoice.issue", "payment.record", "sla_credit.grant", "limit.change"):
        recording.record(action, customer=customer, target="x")
    erase()
    settings.AGREEMENT_YEARS = -1  # as if the year after the next had begun
    services.erased_forget()
    kept = AuditEvent.objects.filter(customer_id=customer)
    assert set(kept.values_list("action", flat=True)) == {
        *("invoice.issue", "payment.record", "sla_credit.grant", "customer.erase"),
    }
    assert forget(now=FAR) == 1
    services.erased_forget()
    assert not kept.exists()


def test_the_years_begin_when_the_year_of_the_erasure_has_ended(cast: Cast, settings: Settings) -> None:
    erase()
    forget(now=FAR)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL hpns.erasure = 'on'")
        year = datetime.now(UTC).year - settings.AGREEMENT_YEARS
        for at, left in ((f"{year}-01-01", 2), (f"{year - 1}-12-31", 0)):
            cursor.execute("UPDATE tenants_auditevent SET at = %s WHERE action = 'customer.erase'", [at])
            services.erased_forget()
            cursor.execute("SET LOCAL hpns.erasure = 'on'")
            assert AuditEvent.objects.filter(customer_id=cast.acme.customer.pk).count() == left
