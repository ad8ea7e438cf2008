"""Months are closed once, two days after their end, also after any pause; what changes later is said, never hidden."""

import threading
from datetime import timedelta

import pytest
from django.db import ProgrammingError, connection, transaction

from billing import customers
from billing.facts import Month
from billing.models import UsageCorrection, UsageMonth
from billing.usage import closing, months, reading
from tenants.models import AuditEvent, Customer
from tests.billing.usage.used import at, devices, known, pushes, since, terms
from tests.browsing import Tenant, tenant
from tests.roles import PAGES, WORKER, acting_as
from tests.tenants.two_customers import refused, sql
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
NOVEMBER = Month(2026, 11)
FINAL = ("billing_usagemonth", "billing_usagecorrection")


@pytest.fixture
def acme(db: None) -> Tenant:
    made = tenant("Acme")
    since(made.customer, at(11, 3))
    return made


def closed(customer: Customer) -> list[str]:
    rows = UsageMonth.objects.filter(customer=customer).order_by("month")
    return [f"{row.month:%Y-%m}" for row in rows]


def test_a_month_is_closed_two_days_after_its_end_and_not_before(acme: Tenant) -> None:
    pushes(acme, at(11, 30, 23), 5)
    devices(acme, at(11, 1), "ab", 30)
    end = months.ends(NOVEMBER)
    assert closing.close_all(end + timedelta(days=2, seconds=-1), known(terms())) == 0
    assert closing.close_all(end + timedelta(days=2), known(terms(), seats=lambda _: 7)) == 1
    row = UsageMonth.objects.get()
    assert (row.pushes, row.devices, row.seats, row.included_pushes, row.percent) == (5, 2, 7, 1_000, 0)
    assert AuditEvent.objects.get(action="usage.close").details["pushes"] == 5
    with pytest.raises(ValueError, match="cannot be closed yet"):
        closing.close(acme.customer, Month(2026, 12), end, known())


def test_closing_again_writes_nothing(acme: Tenant) -> None:
    now = at(12, 4)
    assert closing.close_all(now, known()) == 1
    assert closing.close_all(now, known()) == 0
    assert not closing.close(acme.customer, NOVEMBER, now, known())
    assert UsageCorrection.objects.count() == 0


def test_months_that_were_missed_are_closed_when_the_timetable_is_back(acme: Tenant) -> None:
    """Dead for forty days, and for two years."""
    assert closing.close_all(at(1, 12, year=2027), known()) == 2
    assert closed(acme.customer) == ["2026-11", "2026-12"]
    assert closing.close_all(at(6, 4, year=2029), known()) == 25
    assert closed(acme.customer)[2] == "2027-05"
    assert closed(acme.customer)[-1] == "2029-05"


def test_a_month_without_a_push_is_closed_with_zeros(acme: Tenant) -> None:
    closing.close_all(at(12, 4), known())
    assert UsageMonth.objects.get().pushes == 0


def test_customers_who_are_nobodys_usage_are_left_out(acme: Tenant) -> None:
    canary = tenant("Canary")
    since(canary.customer, at(11, 3))
    closing.close_all(at(12, 4), known(left_out=lambda: {canary.customer.pk}))
    assert closed(canary.customer) == []
    assert closed(acme.customer) == ["2026-11"]


def test_rows_that_come_late_are_a_correction_with_both_figures(acme: Tenant) -> None:
    pushes(acme, at(11, 5), 5)
    closing.close_all(at(12, 4), known(seats=lambda _: 3))
    pushes(acme, at(11, 6), 2)
    assert closing.close_all(at(12, 5), known()) == 1
    assert UsageMonth.objects.get().pushes == 5
    found = UsageCorrection.objects.get()
    assert (found.pushes_before, found.pushes, found.by_day[4:6], found.reason) == (5, 7, [5, 2], closing.LATE)
    # Servers and seats are those of the end of the month.
    assert found.seats == 3
    event = AuditEvent.objects.get(action="usage.correct")
    assert (event.details["pushes_before"], event.details["pushes"]) == (5, 7)
    assert reading.usage(acme.customer, NOVEMBER, at(12, 6), known()).pushes == 7
    assert closing.close_all(at(12, 6), known()) == 0
    pushes(acme, at(11, 6), 1)
    closing.close_all(at(12, 7), known())
    assert [(row.pushes_before, row.pushes) for row in UsageCorrection.objects.order_by("id")] == [(5, 7), (7, 8)]
    ((history, changed),) = reading.history(acme.customer, at(12, 8))
    assert (history.pushes, changed) == (8, True)


def test_pushes_that_move_to_another_day_or_server_are_a_correction_too(acme: Tenant) -> None:
    pushes(acme, at(11, 5), 5)
    closing.close_all(at(12, 4), known())
    pushes(acme, at(11, 5), -5)
    pushes(acme, at(11, 6), 5)
    assert closing.close_all(at(12, 5), known()) == 1
    assert UsageCorrection.objects.get().by_day[4:6] == [0, 5]


def test_a_clock_that_was_ahead_by_months_closes_nothing_for_good(acme: Tenant) -> None:
    pushes(acme, at(11, 5), 5)
    closing.close_all(at(3, 9, year=2027), known())
    assert closed(acme.customer) == ["2026-11", "2026-12", "2027-01", "2027-02"]
    # The clock is right again: the month runs, and is counted as it stands.
    now = at(11, 20)
    pushes(acme, now, 3)
    assert reading.usage(acme.customer, NOVEMBER, now, known()).pushes == 8
    assert reading.detail(acme.customer, NOVEMBER, now, known()).closed_at is None
    assert reading.history(acme.customer, now) == []
    assert closing.close_all(now, known()) == 0
    # At its true end the difference is said.
    closing.close_all(at(12, 4), known())
    assert [(row.pushes_before, row.pushes) for row in UsageCorrection.objects.all()] == [(5, 8)]
    assert reading.usage(acme.customer, NOVEMBER, at(12, 5), known()).pushes == 8


def test_what_was_closed_too_early_is_counted_again_however_long_the_timetable_was_down(acme: Tenant) -> None:
    UsageMonth.objects.create(
        customer=acme.customer, month="2026-11-01", closed_at=at(11, 5), pushes=0, devices=0, phones=0, servers=0
    )
    pushes(acme, at(11, 20), 3)
    closing.close_all(at(6, 9, year=2027), known())
    assert UsageCorrection.objects.filter(month="2026-11-01").values_list("pushes", flat=True)[0] == 3


def test_a_clock_that_goes_back_closes_nothing_again(acme: Tenant) -> None:
    closing.close_all(at(1, 9, year=2027), known())
    assert closing.close_all(at(11, 10), known()) == 0
    assert closing.close_all(at(1, 9, year=2027), known()) == 0


def test_one_customer_that_fails_keeps_no_other_from_being_closed(acme: Tenant) -> None:
    cosmos = tenant("Cosmos")
    since(cosmos.customer, at(11, 3))

    def seats(customer: Customer) -> int:
        if customer == acme.customer:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT 1/0")
        return 1

    assert closing.close_all(at(12, 4), known(seats=seats)) == 1
    assert closed(cosmos.customer) == ["2026-11"]


@pytest.mark.parametrize("role", [PAGES, WORKER])
def test_no_role_of_the_running_service_changes_what_was_closed(acme: Tenant, role: str) -> None:
    with acting_as(role):
        for table in FINAL:
            for statement in ("UPDATE {} SET pushes = 0", "DELETE FROM {}"):
                with refused():
                    sql(statement.format(table))


@pytest.mark.parametrize("table", FINAL)
def test_not_even_the_owner_of_the_tables_does_so_by_accident(acme: Tenant, table: str) -> None:
    closing.close_all(at(12, 4), known())
    pushes(acme, at(11, 6), 2)
    closing.close_all(at(12, 5), known())
    sql("SELECT set_config('hpns.erasure', '', true)")
    sql("SET CONSTRAINTS ALL IMMEDIATE")
    for statement in ("UPDATE {} SET pushes = 0", "DELETE FROM {}", "TRUNCATE {}"):
        with refused():
            sql(statement.format(table))
    # Whoever erases a customer may delete, and even then change nothing.
    sql("SELECT set_config('hpns.erasure', 'on', true)")
    with refused():
        sql(f"UPDATE {table} SET pushes = 0")  # noqa: S608
    assert sql(f"DELETE FROM {table}") == [1]  # noqa: S608


@pytest.mark.django_db(transaction=True)
def test_of_two_processes_that_close_a_month_at_once_one_does(acme: Tenant) -> None:
    pushes(acme, at(11, 5), 5)
    start, done = threading.Barrier(2, timeout=PATIENCE), []

    def close() -> None:
        try:
            start.wait()
            done.append(closing.close(acme.customer, NOVEMBER, at(12, 4), known()))
        finally:
            connection.close()

    threads = [threading.Thread(target=close) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(done) == [False, True]
    assert UsageMonth.objects.count() == 1
    assert AuditEvent.objects.filter(action="usage.close").count() == 1


def test_the_worker_may_close_months_and_a_page_may_not(acme: Tenant) -> None:
    with acting_as(WORKER):
        assert closing.close_all(at(12, 4), known()) == 1
        pushes(acme, at(11, 6), 2)
        assert closing.close_all(at(12, 5), known()) == 1
    with acting_as(PAGES), pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        UsageMonth.objects.create(
            customer=acme.customer, month="2026-01-01", closed_at=at(12, 4), pushes=0, devices=0, phones=0, servers=0
        )


def test_a_closed_month_goes_with_its_customer(acme: Tenant) -> None:
    closing.close_all(at(12, 4), known())
    customers.suspend(customer=acme.customer, reason="unpaid")
    customers.erase(customer=acme.customer)
    assert UsageMonth.objects.count() == 0
