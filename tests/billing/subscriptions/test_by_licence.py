"""A proven licence brings its subscription with it: once, by the timetable, and not again after it was cancelled."""

import threading
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from billing.facts import Basis, State
from billing.models import LastStanding, Subscription
from billing.subscriptions import by_licence, changing, reading
from billing.subscriptions.sources import Sources
from tenants.models import AuditEvent, Customer
from tests.billing.subscriptions.agreed import DAY, proof, seed
from tests.billing.subscriptions.conftest import Facts
from tests.browsing import Tenant, tenant
from tests.roles import WORKER, acting_as

START = datetime.fromisoformat("2026-03-10T09:00+00:00")


def proven(facts: Facts, *customers: Customer) -> Sources:
    """What is proven, of these customers."""
    ids = [each.pk for each in customers]
    return Sources(
        lambda _: [],
        lambda customer: [each for each in facts.proofs if each.customer_id == customer.pk],
        lambda _: [],
        lambda _: ids,
    )


@pytest.mark.django_db
def test_a_licence_that_holds_begins_e1_from_now_on_and_once(acme: Tenant, facts: Facts) -> None:
    facts.proofs.append(proof(START - 30 * DAY, START + 300 * DAY, acme.customer.pk))
    sources = proven(facts, acme.customer)
    assert by_licence.is_coming(acme.customer, START, sources)
    with acting_as(WORKER):
        assert by_licence.run(START, sources) == 1
        assert [by_licence.run(START + timedelta(minutes=minute), sources) for minute in range(3)] == [0, 0, 0]
    row = Subscription.objects.get()
    assert (row.version.plan.code, row.basis, row.starts_at) == ("e1", Basis.LICENCE, START)
    assert LastStanding.objects.get().state == State.ACTIVE
    assert AuditEvent.objects.filter(action="subscription.start").count() == 1
    assert not by_licence.is_coming(acme.customer, START, sources)


@pytest.mark.django_db
def test_a_licence_that_starts_ahead_begins_it_on_that_day(acme: Tenant, facts: Facts) -> None:
    facts.proofs.append(proof(START + DAY, START + 300 * DAY, acme.customer.pk))
    sources = proven(facts, acme.customer)
    assert by_licence.run(START, sources) == 0
    assert by_licence.run(START + DAY, sources) == 1
    assert Subscription.objects.get().starts_at == START + DAY


@pytest.mark.django_db
def test_nobody_without_a_licence_that_includes_the_service_gets_one(acme: Tenant, facts: Facts) -> None:
    cosmos = tenant("Cosmos")
    facts.proofs.append(proof(START - 300 * DAY, START - DAY, acme.customer.pk))
    assert by_licence.run(START, proven(facts, acme.customer, cosmos.customer)) == 0
    assert not Subscription.objects.exists()


@pytest.mark.django_db
def test_beside_what_is_paid_it_is_what_counts(acme: Tenant, facts: Facts) -> None:
    sources = proven(facts, acme.customer)
    changing.start(customer=acme.customer, version=reading.version("hpns"), now=START, sources=sources)
    facts.proofs.append(proof(START, START + 300 * DAY, acme.customer.pk))
    assert by_licence.run(START + DAY, sources) == 1
    counts = reading.current(acme.customer, START + DAY, sources)
    assert counts is not None
    assert counts.subscribed.basis is Basis.LICENCE


@pytest.mark.django_db
def test_what_was_cancelled_begins_again_with_a_later_licence_alone(acme: Tenant, facts: Facts) -> None:
    facts.proofs.append(proof(START - DAY, START + 300 * DAY, acme.customer.pk))
    sources = proven(facts, acme.customer)
    by_licence.run(START, sources)
    end = START + 10 * DAY
    changing.cancel(subscription=Subscription.objects.get(), at=end, now=START, sources=sources)
    assert by_licence.run(START + DAY, sources) == 0
    assert by_licence.run(end + DAY, sources) == 0
    facts.proofs.append(proof(end + 2 * DAY, end + 300 * DAY, acme.customer.pk))
    assert by_licence.run(end + 3 * DAY, sources) == 1
    assert Subscription.objects.count() == 2


@pytest.mark.django_db
def test_a_fault_with_one_customer_is_nobody_elses(acme: Tenant, facts: Facts) -> None:
    cosmos = tenant("Cosmos")
    acme.customer.entitlement.delete()
    for each in (acme, cosmos):
        facts.proofs.append(proof(START - DAY, START + 300 * DAY, each.customer.pk))
    assert by_licence.run(START, proven(facts, acme.customer, cosmos.customer)) == 1
    assert Subscription.objects.get().customer == cosmos.customer


@pytest.mark.django_db(transaction=True)
def test_two_processes_at_once_begin_one(valkey: object, facts: Facts) -> None:
    seed()
    acme = tenant("Acme")
    now = timezone.now()
    facts.proofs.append(proof(now - DAY, now + 300 * DAY, acme.customer.pk))
    sources, begun, start = proven(facts, acme.customer), [], threading.Barrier(2)

    def run() -> None:
        try:
            start.wait(10)
            begun.append(by_licence.begin(acme.customer, now, sources))
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert sorted(begun) == [False, True]
    assert Subscription.objects.count() == 1
