"""What follows from a standing is in force at once, stays while billing has a fault, and depends on no timetable."""

import threading
from datetime import datetime, timedelta

import pytest
from django.db import ProgrammingError, connection, transaction
from django.utils import timezone

from billing.facts import OpenInvoice, State
from billing.models import LastStanding, PlanVersion, Subscription
from billing.subscriptions import applying, changing, plan_changes, reading
from billing.subscriptions.sources import Sources
from tenants import services
from tenants.models import AuditEvent, Customer, Entitlement
from tenants.problem import ProblemError
from tests.billing.subscriptions.agreed import DAY, invoice, proof, seed
from tests.billing.subscriptions.conftest import Facts, entitled
from tests.browsing import Tenant, tenant
from tests.roles import WORKER, acting_as
from tests.tenants.two_customers import page_of

pytestmark = pytest.mark.django_db
START = datetime.fromisoformat("2026-01-31T00:00+00:00")


def begin(acme: Tenant, code: str, facts: Facts, now: datetime = START, **more: int) -> Subscription:
    """A subscription of Acme to the latest version of a plan."""
    return changing.start(
        customer=acme.customer, version=reading.version(code), now=now, sources=facts.sources, **more
    ).row


def test_a_customer_without_a_subscription_keeps_what_it_has(acme: Tenant, facts: Facts) -> None:
    Entitlement.objects.update(may_use_server_id=True)
    assert applying.apply(acme.customer, START, facts.sources) is None
    assert applying.run(START, facts.sources) == 0
    assert entitled(acme.customer) == ("", True)
    assert reading.subscribed(acme.customer, START) is None


def test_what_is_due_is_applied_by_the_timetable_and_nothing_else(acme: Tenant, facts: Facts) -> None:
    row = begin(acme, "hpns", facts)
    due = START + 30 * DAY
    facts.invoices.append(invoice(due, row.pk))
    applying.apply(acme.customer, START, facts.sources)
    for days, expected in ((0, ("", True)), (30, ("", False)), (45, ("subscription_unpaid", False))):
        assert applying.run(due + days * DAY, facts.sources) == 1
        assert entitled(acme.customer) == expected
        assert applying.run(due + days * DAY + timedelta(minutes=1), facts.sources) == 0
    facts.invoices.clear()  # paid
    assert applying.apply(acme.customer, due + 50 * DAY, facts.sources).state is State.ACTIVE  # type: ignore[union-attr]
    assert entitled(acme.customer) == ("", True)
    seen = [
        event.details["after"] for event in AuditEvent.objects.filter(action="subscription.standing").order_by("id")
    ]
    assert seen == ["active", "past_due", "restricted", "suspended", "active"]


def test_forty_days_without_the_timetable_end_in_the_rows_of_daily_runs(acme: Tenant, facts: Facts) -> None:
    cosmos = tenant("Cosmos")
    due = START + 20 * DAY
    rows = [begin(each, "hpns", facts) for each in (acme, cosmos)]
    facts.invoices.extend(invoice(due, row.pk) for row in rows)
    end = due + 50 * DAY
    for day in range(41):
        applying.apply(acme.customer, end - (40 - day) * DAY, facts.sources)
    applying.run(end, facts.sources)
    columns = [field.name for field in LastStanding._meta.get_fields() if field.name not in ("id", "subscription")]
    first, second = (LastStanding.objects.filter(subscription=row).values(*columns).get() for row in rows)
    assert first == second
    assert entitled(acme.customer) == entitled(cosmos.customer) == ("subscription_unpaid", False)


@pytest.mark.parametrize("months", [-7, 7])
def test_a_clock_that_was_set_by_months_and_back_leaves_what_is_true(acme: Tenant, facts: Facts, months: int) -> None:
    good = proof(START - 300 * DAY, START + 60 * DAY, acme.customer.pk)
    facts.proofs.append(good)
    begin(acme, "e1", facts)
    before = entitled(acme.customer)
    applying.run(START + months * 30 * DAY, facts.sources)
    assert entitled(acme.customer) == (("licence_expired", False) if months > 0 else before)
    assert applying.run(START + timedelta(minutes=1), facts.sources) == 1
    assert entitled(acme.customer) == before == ("", True)


def test_a_fault_of_billing_leaves_the_last_entitlement_in_force_and_takes_nobody_elses_turn(
    acme: Tenant, facts: Facts
) -> None:
    cosmos = tenant("Cosmos")
    for each in (acme, cosmos):
        begin(each, "trial", facts)
    now = START + 31 * DAY

    def broken(customer: Customer) -> list[OpenInvoice]:
        if customer == acme.customer:
            raise ZeroDivisionError
        return []

    assert applying.run(now, Sources(broken, lambda _: [], lambda _: [])) == 1
    assert entitled(acme.customer) == ("", True)
    assert entitled(cosmos.customer) == ("subscription_unpaid", False)
    assert applying.run(now, facts.sources) == 1
    assert entitled(acme.customer) == ("subscription_unpaid", False)


def test_of_several_the_best_counts_whatever_another_is_refused_for(acme: Tenant, facts: Facts) -> None:
    old = begin(acme, "hpns", facts)
    facts.invoices.append(invoice(START, old.pk))
    facts.proofs.append(proof(START, START + 365 * DAY, acme.customer.pk))
    now = START + 60 * DAY
    applying.apply(acme.customer, now, facts.sources)
    assert entitled(acme.customer) == ("subscription_unpaid", False)
    new = begin(acme, "e1", facts, now)
    assert entitled(acme.customer) == ("", True)
    assert reading.current(acme.customer, now, facts.sources).row == new  # type: ignore[union-attr]


def test_one_that_is_ahead_changes_nothing_before_and_brings_its_offer_then(acme: Tenant, facts: Facts) -> None:
    later = START + 10 * DAY
    version = reading.version("eas")
    changing.start(customer=acme.customer, version=version, now=START, starts_at=later, sources=facts.sources)
    assert Customer.objects.get(pk=acme.customer.pk).offer == "hpns"
    with acting_as(WORKER):
        assert applying.run(later, facts.sources) == 1
    found = Customer.objects.select_related("entitlement").get(pk=acme.customer.pk)
    assert (found.offer, found.entitlement.may_use_shared) == ("eas", False)
    with acting_as(WORKER):
        assert applying.run(later + timedelta(minutes=2), facts.sources) == 0


def test_a_version_that_somebody_has_or_had_is_never_changed(acme: Tenant, facts: Facts) -> None:
    begin(acme, "hpns", facts)
    plan_changes.change(customer=acme.customer, code="eas", now=START, sources=facts.sources)
    for code in ("hpns", "eas"):
        with pytest.raises(Exception, match="never changed"), transaction.atomic():
            PlanVersion.objects.filter(plan__code=code).update(price_minor=1)
    assert PlanVersion.objects.filter(plan__code="hpns-year").update(price_minor=1) == 1


def test_the_restricted_add_no_servers_keys_and_apps_and_keep_what_they_have(acme: Tenant) -> None:
    Entitlement.objects.update(may_grow=False)
    for add in (
        lambda: services.server_add(customer=acme.customer, name="another"),
        lambda: services.key_add(server=acme.server),
        lambda: services.app_add(customer=acme.customer, label="apple_new", topic="com.example.x"),
    ):
        with pytest.raises(ProblemError, match="can be added while the subscription is past due"):
            add()
    assert not services.server_add(customer=acme.customer, name=acme.server.name).changed
    assert services.app_add(label="apple_shared", topic="com.example.x").changed  # the operator's


def test_a_page_of_the_customers_applies_a_standing_and_gives_itself_no_offer(acme: Tenant, facts: Facts) -> None:
    row = begin(acme, "hpns", facts)
    facts.invoices.append(invoice(START, row.pk))
    with page_of(acme):
        assert applying.apply(acme.customer, START + 31 * DAY, facts.sources).state is State.RESTRICTED  # type: ignore[union-attr]
        for statement in (
            "UPDATE billing_subscription SET basis = 'licence'",
            "UPDATE billing_subscription SET starts_at = now()",
            "UPDATE billing_subscription SET trial_ends_at = now()",
            "UPDATE billing_plan SET listed = true",
            "UPDATE billing_planversion SET price_minor = 0",
            "INSERT INTO billing_override (subscription_id, until, reason, actor, created_at) "
            "SELECT id, now(), 'x', 'x', now() FROM billing_subscription",
            "INSERT INTO billing_subscription (customer_id, version_id, basis, starts_at, anchor_at, created_at, "
            "offer_pending) SELECT customer_id, (SELECT v.id FROM billing_planversion v JOIN billing_plan p "
            "ON p.id = v.plan_id WHERE p.code = 'e1'), 'licence', now(), now(), now(), false FROM billing_subscription",
        ):
            with pytest.raises(ProgrammingError, match="row-level security"), transaction.atomic():
                connection.cursor().execute(statement)
        facts.invoices.clear()
        plan_changes.change(customer=acme.customer, code="eas", now=START + DAY, sources=facts.sources)
    assert Customer.objects.get(pk=acme.customer.pk).offer == "hpns"
    with acting_as(WORKER):
        applying.run(START + 2 * DAY, facts.sources)
    assert Customer.objects.get(pk=acme.customer.pk).offer == "eas"


@pytest.mark.django_db(transaction=True)
def test_two_changes_at_once_are_made_one_after_the_other(valkey: object, facts: Facts) -> None:
    seed()
    acme = tenant("Acme")
    begin(acme, "hpns", facts, timezone.now())
    now, problems, start = timezone.now(), [], threading.Barrier(2)

    def change(code: str) -> None:
        try:
            start.wait(10)
            plan_changes.change(customer=acme.customer, code=code, now=now, sources=facts.sources)
            applying.apply(acme.customer, now, facts.sources)
        except Exception as error:  # noqa: BLE001  told below
            problems.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=change, args=(code,)) for code in ("eas", "hpns-year")]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert problems == []
    made = reading.changes(acme.customer, now, now + DAY)
    assert len(made) == 2
    assert made[0].after == made[1].before  # the second saw what the first had made
    assert Subscription.objects.get().version == made[1].after
