"""Numbers without gaps: real processes issue at once, die between number and commit, and the clock is set back."""

import multiprocessing
import os
import signal
from datetime import date
from typing import Any

import pytest
from django.db import ProgrammingError, connection, transaction

from billing.invoices import drafting, issuing, numbering
from billing.invoices.document import Line
from billing.models import Invoice, InvoiceCounter, InvoiceDraft
from tenants.models import Customer
from tenants.problem import ProblemError
from tests.billing.invoices.making import NOW, at, issued
from tests.roles import PAGES, WORKER, acting_as
from tests.tenants.two_customers import refused, sql

EACH = 6


def _many(barrier: Any, drafts: list[int]) -> None:
    """In a process of its own: issue these drafts, as soon as the others are there."""
    connection.close()
    barrier.wait(30)
    for pk in drafts:
        try:
            issuing.issue(InvoiceDraft.objects.get(pk=pk), now=NOW)
        except (ProblemError, InvoiceDraft.DoesNotExist):
            continue


def _killed(reached: Any, draft: int) -> None:
    """In a process of its own: die by SIGKILL after the number was taken and before the commit."""
    connection.close()

    def taken(*args: Any) -> Any:
        number = take(*args)
        reached.set()
        os.kill(os.getpid(), signal.SIGKILL)
        return number

    take = numbering.take
    numbering.take = taken  # type: ignore[assignment]
    issuing.issue(InvoiceDraft.objects.get(pk=draft), now=NOW)


def draft(customer: Customer) -> int:
    return drafting.make(customer, currency="EUR", lines=[Line("x", 100)], now=NOW).pk


def numbers() -> list[str]:
    return list(Invoice.objects.order_by("sequence").values_list("number", flat=True))


@pytest.mark.django_db(transaction=True)
def test_processes_that_issue_at_once_leave_no_gap_and_issue_no_draft_twice(acme: Customer) -> None:
    fork = multiprocessing.get_context("fork")
    barrier, drafts = fork.Barrier(3), [draft(acme) for _ in range(EACH)]
    connection.close()
    # The third has the first one's drafts, too.
    own = [drafts[::2], drafts[1::2], drafts[::2]]
    processes = [fork.Process(target=_many, args=(barrier, each)) for each in own]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert numbers() == [f"INV-2026-{n:05d}" for n in range(1, EACH + 1)]
    assert not InvoiceDraft.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_process_that_dies_between_number_and_commit_leaves_no_gap(acme: Customer) -> None:
    issued(acme)
    fork = multiprocessing.get_context("fork")
    reached, pk = fork.Event(), draft(acme)
    connection.close()
    process = fork.Process(target=_killed, args=(reached, pk))
    process.start()
    process.join(60)
    assert reached.is_set()
    assert process.exitcode == -signal.SIGKILL
    assert InvoiceDraft.objects.filter(pk=pk).exists()
    issuing.issue(InvoiceDraft.objects.get(pk=pk), now=NOW)
    assert numbers() == ["INV-2026-00001", "INV-2026-00002"]


@pytest.mark.django_db
def test_an_issue_that_fails_at_its_end_leaves_no_gap(acme: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    pk = draft(acme)
    with monkeypatch.context() as patch:
        patch.setattr(issuing.payments, "pay_by_balance", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            issuing.issue(InvoiceDraft.objects.get(pk=pk), now=NOW)
    assert numbers() == []
    issuing.issue(InvoiceDraft.objects.get(pk=pk), now=NOW)
    assert numbers() == ["INV-2026-00001"]


@pytest.mark.django_db
def test_each_series_and_each_year_counts_from_one(acme: Customer) -> None:
    first, second = issued(acme), issued(acme)
    note = issuing.credit(first, reason="a mistake", now=NOW)
    later = issued(acme, now=at(2027, 1, 1))
    assert [row.number for row in (first, second, note, later)] == [
        *("INV-2026-00001", "INV-2026-00002", "CN-2026-00001", "INV-2027-00001")
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("day", [date(2026, 11, 29), date(2025, 12, 31)])
def test_a_clock_that_was_set_back_issues_nothing_and_says_so(acme: Customer, day: date) -> None:
    issued(acme)
    pk = draft(acme)
    InvoiceDraft.objects.filter(pk=pk).update(ready_on=day)
    with pytest.raises(ProblemError, match="the clock says"):
        issuing.issue(InvoiceDraft.objects.get(pk=pk), now=at(day.year, day.month, day.day))
    issuing.issue(InvoiceDraft.objects.get(pk=pk), now=NOW)
    assert numbers() == ["INV-2026-00001", "INV-2026-00002"]


@pytest.mark.django_db
@pytest.mark.parametrize("kind", [PAGES, WORKER])
def test_no_role_gives_a_number_back_or_leaves_one_out(acme: Customer, kind: str) -> None:
    issued(acme)
    with acting_as(kind):
        for change in ("last = 0", "last = last + 2", "last = last + 1, last_on = '2020-01-01'", "series = 'X'"):
            with refused():
                sql(f"UPDATE billing_invoicecounter SET {change}")  # noqa: S608
        with refused():
            sql("DELETE FROM billing_invoicecounter")
    assert InvoiceCounter.objects.get().last == 1


@pytest.mark.django_db
def test_a_number_is_taken_in_a_transaction_alone(acme: Customer) -> None:
    with pytest.raises(ProgrammingError), transaction.atomic():
        sql("INSERT INTO billing_invoicecounter (series, year, last, last_on) VALUES ('X', 2026, 5, now())")
