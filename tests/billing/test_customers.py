"""A customer is taken on with what its offer includes; each change is audited, told, and made once."""

import pytest
import redis
from django.db import IntegrityError, transaction

from billing import customers, entitlements
from billing.offers import TERMS
from tenants.directory import version_stamp
from tenants.models import AuditEvent, Entitlement
from tenants.problem import ProblemError

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("offer", sorted(TERMS))
def test_a_new_customer_has_the_terms_and_limits_of_its_offer(valkey: redis.Redis, offer: str) -> None:
    row = customers.add(name="Acme", offer=offer).row.entitlement
    terms = TERMS[offer]
    assert (row.may_use_shared, row.tls_required) == (terms.may_use_shared, terms.tls_required)
    assert {name: getattr(row, name) for name in terms.limits._fields} == terms.limits._asdict()
    assert not row.may_use_server_id


def test_limits_are_changed_audited_and_told(valkey: redis.Redis) -> None:
    acme = customers.add(name="Acme", offer="hpns").row
    before = version_stamp.current(valkey)
    assert entitlements.change(customer=acme, rate=10, burst=20).changed
    assert not entitlements.change(customer=acme, rate=10, burst=20).changed
    acme.entitlement.refresh_from_db()
    assert (acme.entitlement.rate, acme.entitlement.burst) == (10, 20)
    seen = {event.target: event.details for event in AuditEvent.objects.filter(action="limit.change")}
    assert seen == {"rate": {"before": 2000, "after": 10}, "burst": {"before": 100_000, "after": 20}}
    assert version_stamp.current(valkey) >= before


@pytest.mark.parametrize(
    "wanted", [{"rate": None}, {"burst": None}, {"rate": 0}, {"server_in_flight": 0}, {"rate": -1}, {"burst": 10**12}]
)
def test_limits_that_make_no_sense_are_refused_and_leave_no_trace(
    valkey: redis.Redis, wanted: dict[str, int | None]
) -> None:
    acme = customers.add(name="Acme", offer="hpns").row
    with pytest.raises(ProblemError, match=r"both, or neither|at least 1|at most 1,000,000,000"):
        entitlements.change(customer=acme, **wanted)
    acme.entitlement.refresh_from_db()
    assert acme.entitlement.rate == 2000
    assert not AuditEvent.objects.filter(action="limit.change").exists()


def test_the_database_refuses_a_rate_without_a_burst(valkey: redis.Redis) -> None:
    acme = customers.add(name="Acme", offer="hpns").row
    with pytest.raises(IntegrityError, match="tenants_entitlement_rate"), transaction.atomic():
        Entitlement.objects.filter(customer=acme).update(burst=None)


def test_another_offer_brings_its_own_terms(valkey: redis.Redis) -> None:
    acme = customers.add(name="Acme", offer="hpns").row
    assert entitlements.to_offer(customer=acme, offer="tpns").changed
    assert not entitlements.to_offer(customer=acme, offer="tpns").changed
    row = Entitlement.objects.get(customer=acme)
    assert (row.rate, row.tls_required) == (5, False)
    assert AuditEvent.objects.get(action="offer.change").details == {"before": "hpns", "after": "tpns"}


def test_suspending_is_audited_once_with_its_reason(valkey: redis.Redis) -> None:
    acme = customers.add(name="Acme", offer="hpns").row
    customers.suspend(customer=acme, reason="unpaid since May")
    customers.suspend(customer=acme, reason="again")
    event = AuditEvent.objects.get(action="customer.suspend")
    assert (event.customer_id, event.target, event.details) == (acme.pk, "Acme", {"reason": "unpaid since May"})


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "Acme\r\nBcc: all@example.com", "Acme\x00"])
def test_a_name_that_is_none_or_breaks_lines_is_refused(valkey: redis.Redis, name: str) -> None:
    with pytest.raises(ProblemError, match="name"):
        customers.add(name=name, offer="hpns", slug="acme")
