"""A round of billing in which one customer's work fails: it is that customer's failure alone, kept for staff."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from billing import customers, rounds
from billing.invoices import daily
from billing.invoices import sources as invoice_sources
from billing.models import LicenceProof, RoundFailure, UsageMonth, UsageRunning
from billing.rounds import Isolation, Round
from billing.subscriptions import applying, by_licence, mailing
from billing.subscriptions import sources as subscription_sources
from billing.usage import closing, watching
from billing.usage import sources as usage_sources
from tenants.models import Customer
from tenants.problem import ProblemError
from tests.billing.subscriptions.agreed import seed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture
def two(db: None) -> tuple[Customer, Customer]:
    seed()
    return customers.add(name="Acme", offer="hpns").row, customers.add(name="Cosmos", offer="hpns").row


def broken(name: str) -> Callable[[Customer], Any]:
    """Fails in the way of a bug, and in the database, for Acme alone."""

    def of(customer: Customer, *_: Any) -> Any:
        if customer.slug == name:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
        return None

    return of


def test_a_failure_is_kept_until_the_round_has_done_it(two: tuple[Customer, Customer]) -> None:
    acme, cosmos = two
    now = timezone.now()

    def fails() -> int:
        raise ProblemError("the chain is broken")

    for _ in range(2):
        isolation = Isolation(Round.SLA_SEAL, now)
        assert isolation.attempt(acme.pk, fails) is None
        assert isolation.attempt(cosmos.pk, lambda: 7) == 7
        assert isolation.failed == 1
    row = RoundFailure.objects.get()
    assert (row.customer_id, row.round, row.why, row.times) == (acme.pk, "sla_seal", "the chain is broken", 2)
    Isolation(Round.SLA_MONTHS, now).attempt(acme.pk, lambda: 1)
    assert RoundFailure.objects.exists()
    Isolation(Round.SLA_SEAL, now).attempt(acme.pk, lambda: 1)
    assert not RoundFailure.objects.exists()


def test_what_the_database_says_of_a_row_is_not_kept(two: tuple[Customer, Customer]) -> None:
    def fails() -> None:
        Customer.objects.create(name="secret", slug="acme", offer="hpns")

    Isolation(Round.USAGE, timezone.now()).attempt(two[0].pk, fails)
    assert RoundFailure.objects.get().why == "IntegrityError"


def test_each_round_says_what_is_not_done() -> None:
    assert set(rounds.WORDS) == set(Round)


def test_a_customer_that_is_erased_leaves_no_failure(two: tuple[Customer, Customer]) -> None:
    now = timezone.now()
    for each in two:
        RoundFailure.objects.create(customer_id=each.pk, round="usage", why="x", first_at=now, last_at=now)
    customers.suspend(customer=two[0], reason="unpaid")
    customers.erase(customer=two[0])
    assert RoundFailure.objects.get().customer_id == two[1].pk


def licensed(customer: Customer, now: datetime) -> None:
    LicenceProof.objects.create(
        customer=customer,
        issuer="i",
        licence_id=customer.slug.ljust(26, "0"),
        digest="d",
        sku="professional",
        users=9,
        starts_at=now,
        expires_at=now.replace(year=now.year + 1),
    )


def test_usage_of_the_others_is_counted_and_closed(two: tuple[Customer, Customer]) -> None:
    now = timezone.now()
    Customer.objects.update(created_at=now.replace(year=now.year - 1))
    known = usage_sources.current()._replace(terms=broken("acme"))
    assert watching.watch_all(now, known) == 1
    assert UsageRunning.objects.get().customer == two[1]
    closing.close_all(now, known)
    assert {row.customer_id for row in UsageMonth.objects.all()} == {two[1].pk}
    assert set(RoundFailure.objects.values_list("customer_id", "round")) == {
        (two[0].pk, "usage"),
        (two[0].pk, "usage_months"),
    }


def test_drafts_and_licences_of_the_others_are_done(two: tuple[Customer, Customer]) -> None:
    now = timezone.now()
    assert daily.run(invoice_sources.SOURCES._replace(subscribed=broken("acme")), now).failed == 1
    for each in two:
        licensed(each, now)
    wired = subscription_sources.SOURCES

    def proofs(customer: Customer) -> Any:
        broken("acme")(customer)
        return wired.proofs(customer)

    assert by_licence.run(now, wired._replace(proofs=proofs)) == 1
    assert set(RoundFailure.objects.values_list("customer_id", "round")) == {
        (two[0].pk, "drafts"),
        (two[0].pk, "licences"),
    }
    for each in two:
        by_licence.begin(each, now)
    applying.run(now.replace(year=now.year + 2), wired._replace(proofs=proofs))
    mailing.send_due(now, wired._replace(proofs=proofs))
    assert set(RoundFailure.objects.filter(customer_id=two[1].pk)) == set()
    assert RoundFailure.objects.filter(round="standing").exists()
    assert RoundFailure.objects.filter(round="mails").exists()
