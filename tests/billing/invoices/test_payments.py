"""Payments, the balance, refunds, credit notes, SLA credits; and that the ledger and documents are final."""

import multiprocessing
from datetime import date
from typing import Any

import pytest
from django.db import connection

from billing.facts import Credit, Month
from billing.invoices import drafting, issuing, ledger, payments, reading
from billing.invoices.document import Line, from_json
from billing.invoices.reading import PaymentState
from billing.models import Invoice, LedgerEntry
from tenants import scope
from tenants.models import AuditEvent, Customer
from tenants.problem import ProblemError
from tests.billing.invoices.making import NOW, issued
from tests.roles import PAGES, WORKER, acting_as
from tests.tenants.two_customers import count, refused, sql

TODAY = NOW.date()


def pay(invoice: Invoice, amount: int, reference: str = "bank 1", currency: str = "EUR") -> payments.Paid:
    return payments.record(invoice, amount_minor=amount, currency=currency, reference=reference, now=NOW)


def state(invoice: Invoice, day: date = TODAY) -> tuple[PaymentState, int]:
    found = reading.standing(invoice, day)
    return found.state, found.open_minor


@pytest.mark.django_db
def test_an_invoice_is_open_partly_paid_overdue_and_paid_by_its_payments_alone(acme: Customer) -> None:
    invoice = issued(acme)
    assert (invoice.gross_minor, str(invoice.due_on)) == (11_900, "2026-12-30")
    assert state(invoice) == (PaymentState.OPEN, 11_900)
    pay(invoice, 4_000)
    assert state(invoice) == (PaymentState.PARTLY_PAID, 7_900)
    assert state(invoice, date(2026, 12, 30)) == (PaymentState.PARTLY_PAID, 7_900)
    assert state(invoice, date(2026, 12, 31)) == (PaymentState.OVERDUE, 7_900)
    (owed,) = reading.open_invoices(acme)
    assert (owed.number, owed.open_minor, owed.due_at.isoformat()) == (
        *(invoice.number, 7_900, "2026-12-31T00:00:00+00:00"),
    )
    pay(invoice, 7_900, "bank 2")
    assert state(invoice, date(2027, 12, 31)) == (PaymentState.PAID, 0)
    assert reading.open_invoices(acme) == []


@pytest.mark.django_db
def test_what_is_paid_too_much_is_balance_which_pays_the_next_invoice_or_goes_back(acme: Customer) -> None:
    done = pay(issued(acme), 20_000)
    assert (done.to_invoice_minor, done.to_balance_minor, done.open_minor) == (11_900, 8_100, 0)
    second = issued(acme)
    assert state(second) == (PaymentState.PARTLY_PAID, 3_800)
    assert ledger.balance_minor(acme.pk, "EUR") == 0
    pay(second, 5_000, "bank 2")
    assert payments.refund(acme, amount_minor=1_200, currency="EUR", reference="back 1", now=NOW) == 0
    with pytest.raises(ProblemError, match=r"the balance is 0.00 EUR"):
        payments.refund(acme, amount_minor=1, currency="EUR", reference="back 2", now=NOW)


@pytest.mark.django_db
def test_a_payment_in_another_currency_or_entered_before_is_refused_in_plain_words(acme: Customer) -> None:
    invoice = issued(acme)
    with pytest.raises(ProblemError, match="is in EUR and the payment in USD: have the bank change it"):
        pay(invoice, 100, currency="USD")
    with pytest.raises(ProblemError, match="more than nothing"):
        pay(invoice, 0)
    with pytest.raises(ProblemError, match="needs the bank's reference"):
        pay(invoice, 100, " ")
    pay(invoice, 100)
    with pytest.raises(ProblemError, match=r"bank 1 was entered on 2026-11-30 \(1.00 EUR\)"):
        pay(invoice, 100)
    note = issuing.credit(invoice, reason="a mistake", now=NOW)
    with pytest.raises(ProblemError, match="only invoices are paid"):
        pay(note, 100, "bank 3")


@pytest.mark.django_db
def test_a_credit_note_counts_towards_the_invoice_and_the_rest_is_balance(acme: Customer) -> None:
    invoice = issued(acme)
    pay(invoice, 4_000)
    note = issuing.credit(invoice, reason="Outage", now=NOW, net_minor=8_000)
    made = from_json(note.document)
    assert (note.number, note.gross_minor, made.corrects, made.reason) == (
        *("CN-2026-00001", 9_520, invoice.number, "Outage"),
    )
    assert state(invoice) == (PaymentState.PAID, 0)
    assert ledger.balance_minor(acme.pk, "EUR") == 9_520 - 7_900
    with pytest.raises(ProblemError, match=r"20.00 EUR before tax can be credited"):
        issuing.credit(invoice, reason="More", now=NOW, net_minor=2_001)
    rest = issuing.credit(invoice, reason="The rest", now=NOW)
    assert note.gross_minor + rest.gross_minor == invoice.gross_minor
    assert ledger.balance_minor(acme.pk, "EUR") == 4_000


@pytest.mark.django_db
def test_parts_that_round_are_credited_to_the_cent(acme: Customer) -> None:
    invoice = issued(acme, 10_001)
    parts = [issuing.credit(invoice, reason="part", now=NOW, net_minor=each) for each in (3_333, 3_333, 3_335)]
    assert sum(part.gross_minor for part in parts) == invoice.gross_minor
    assert state(invoice) == (PaymentState.CREDITED, 0)


@pytest.mark.django_db
def test_an_sla_credit_is_entered_once_grows_and_is_used_by_the_next_invoice(acme: Customer) -> None:
    credit = Credit(acme.pk, Month(2026, 10), 10, 4_990, "EUR", "ab" * 32)
    assert ledger.grant(acme, credit, NOW)
    assert not ledger.grant(acme, credit, NOW)
    assert ledger.grant(acme, credit._replace(amount_minor=6_000, percent=25), NOW)
    assert not ledger.grant(acme, credit._replace(amount_minor=100), NOW)
    assert reading.credit(acme) == {"EUR": 6_000}
    invoice = issued(acme, 5_000)
    made = from_json(invoice.document)
    assert (made.lines[1].month, made.lines[1].amount_minor, made.lines[1].root) == ("2026-10", -5_000, "ab" * 32)
    assert (invoice.gross_minor, state(invoice)) == (0, (PaymentState.PAID, 0))
    assert reading.credit(acme) == {"EUR": 1_000}
    second = issued(acme)
    assert (second.net_minor, reading.credit(acme)) == (9_000, {})
    issuing.credit(second, reason="a mistake", now=NOW)
    assert reading.credit(acme) == {"EUR": 1_000}


@pytest.mark.django_db
def test_credits_and_balances_of_currencies_are_kept_apart(acme: Customer) -> None:
    ledger.grant(acme, Credit(acme.pk, Month(2026, 10), 10, 500, "USD", ""), NOW)
    pay(issued(acme), 12_900)
    dollars = issued(acme, 10_000, currency="USD")
    assert dollars.net_minor == 9_500
    assert ledger.balances(acme.pk) == {"EUR": 1_000}


def _refund(barrier: Any, customer_id: int, reference: str) -> None:
    connection.close()
    barrier.wait(30)
    try:
        customer = Customer.objects.get(pk=customer_id)
        payments.refund(customer, amount_minor=800, currency="EUR", reference=reference, now=NOW)
    except ProblemError:
        return


@pytest.mark.django_db(transaction=True)
def test_two_processes_cannot_spend_the_same_balance(acme: Customer) -> None:
    pay(issued(acme), 12_900)
    fork = multiprocessing.get_context("fork")
    barrier = fork.Barrier(2)
    connection.close()
    processes = [fork.Process(target=_refund, args=(barrier, acme.pk, f"back {n}")) for n in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert ledger.balance_minor(acme.pk, "EUR") == 200


@pytest.mark.django_db
@pytest.mark.parametrize("kind", [PAGES, WORKER, ""])
def test_nothing_that_is_issued_or_paid_can_be_changed_or_deleted(acme: Customer, kind: str) -> None:
    invoice = issued(acme)
    pay(invoice, 100)
    statements = (
        "UPDATE billing_invoice SET net_minor = 1",
        "UPDATE billing_invoice SET document = '{}'",
        "DELETE FROM billing_invoice",
        "UPDATE billing_invoicefile SET content = 'x'",
        "DELETE FROM billing_invoicefile",
        "UPDATE billing_ledgerentry SET amount_minor = 1",
        "DELETE FROM billing_ledgerentry",
    )
    if kind:
        with acting_as(kind):
            for statement in statements:
                with refused():
                    sql(statement)
    else:  # the owner of the tables, who has not said that it forgets what the law no longer wants
        sql("SELECT set_config('hpns.erasure', '', true)")
        sql("SET CONSTRAINTS ALL IMMEDIATE")
        for statement in (*statements, "TRUNCATE billing_invoice CASCADE"):
            with refused():
                sql(statement)
        sql("SELECT set_config('hpns.erasure', 'on', true)")
        with refused():
            sql("UPDATE billing_invoice SET net_minor = 1")
    assert Invoice.objects.get().gross_minor == 11_900


@pytest.mark.django_db
def test_the_audit_log_has_money_and_dates(acme: Customer) -> None:
    invoice = issued(acme)
    pay(invoice, 100)
    events = {event.action: event for event in AuditEvent.objects.filter(customer_id=acme.pk)}
    assert events["invoice.issue"].details["total"] == "119.00 EUR"
    assert events["invoice.issue"].details["due"] == "2026-12-30"
    assert (events["payment.record"].target, events["payment.record"].details["open"]) == (
        *(invoice.number, "118.00 EUR"),
    )


@pytest.mark.django_db
def test_a_draft_that_comes_to_less_than_nothing_is_refused(acme: Customer) -> None:
    less = [Line("x", 100), Line("y", 101, Line("", 0).quantity * -1)]
    draft = drafting.make(acme, currency="EUR", lines=less, now=NOW)
    with pytest.raises(ProblemError, match="that is a credit note"):
        issuing.issue(draft, now=NOW)
    assert not LedgerEntry.objects.exists()


@pytest.mark.django_db
def test_a_customers_page_issues_drafts_and_pays_nothing(acme: Customer) -> None:
    issued(acme)
    drafting.make(acme, currency="EUR", lines=[Line("x", 100)], now=NOW)
    with acting_as(PAGES), scope.customer(acme):
        for table in ("billing_ledgerentry", "billing_invoice", "billing_invoicefile"):
            columns = [name for name in columns_of(table) if name != "id"]
            values = ", ".join({"number": "'X'", "sequence": "9"}.get(name, name) for name in columns)
            with refused():
                sql(
                    f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table}"  # noqa: S608
                    if count(table)
                    else "INSERT INTO billing_ledgerentry (batch, at, customer_id, account, kind, currency, "
                    "amount_minor, root, provider, reference, note, actor) SELECT gen_random_uuid(), now(), "
                    "customer_id, 'balance', "
                    "'payment', 'EUR', 5, '', '', '', '', '' FROM billing_invoice"
                )
        with refused():
            sql("UPDATE billing_invoicecounter SET last = last + 1")
        assert sql("UPDATE billing_invoicedraft SET extra = '[]'") == [0]
        assert sql("DELETE FROM billing_invoicedraft") == [0]


def columns_of(table: str) -> list[str]:
    return [name for (name,) in sql("SELECT column_name FROM information_schema.columns WHERE table_name = %s", table)]
