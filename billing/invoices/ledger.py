"""The ledger of amounts: the only writer of LedgerEntry, and the sums that are taken over it.

Invariants: entries are only added; what one act moves is added in one transaction under the customer's lock, so that no
two acts spend the same amount. An invoice is never paid beyond what it comes to: what is too much is balance.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, Final, cast

from django.db import connection, transaction
from django.db.models import Max, Sum

from billing.facts import Credit
from billing.invoices.composing import MonthCredit
from billing.invoices.periods import month_of
from billing.models import Invoice, LedgerEntry
from billing.money import text
from tenants.audit import recording
from tenants.models import Customer

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('billing_ledgerentry'), %s::int)"
Account, Kind = LedgerEntry.Account, LedgerEntry.Kind


@contextmanager
def locked(customer_id: int) -> Iterator[None]:
    """Transaction in which nobody else moves amounts of this customer or issues for it."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(_LOCK, (customer_id % 2**31,))
        yield


def add(
    account: LedgerEntry.Account,
    kind: LedgerEntry.Kind,
    amount_minor: int,
    *,
    customer_id: int,
    currency: str,
    at: datetime,
    batch: uuid.UUID,
    **more: Any,
) -> None:
    """Add one entry; nothing for an amount of nothing. Call it under `locked`."""
    if amount_minor:
        LedgerEntry.objects.create(
            account=account,
            kind=kind,
            amount_minor=amount_minor,
            customer_id=customer_id,
            currency=currency,
            at=at,
            batch=batch,
            actor=recording.actor().name[:254],
            **more,
        )


def paid_minor(invoice: Invoice) -> int:
    """What counts towards an invoice: payments, balance, credit notes."""
    return _sum(LedgerEntry.objects.filter(invoice=invoice, account=Account.INVOICE))


def open_minor(invoice: Invoice) -> int:
    """What is still to be paid of a document; nothing but of an invoice."""
    return invoice.gross_minor - paid_minor(invoice) if invoice.kind == "invoice" else 0


def balance_minor(customer_id: int, currency: str) -> int:
    """The money of a customer that we hold."""
    held = LedgerEntry.objects.filter(customer_id=customer_id, account=Account.BALANCE, currency=currency)
    return _sum(held)


def balances(customer_id: int) -> dict[str, int]:
    """The money of a customer that we hold, by currency; nothing left out but nothing."""
    rows = LedgerEntry.objects.filter(customer_id=customer_id, account=Account.BALANCE).order_by()
    sums = rows.values_list("currency").annotate(Sum("amount_minor"))
    return {currency: amount for currency, amount in sums if amount}


def credits_left(customer_id: int, currency: str) -> list[MonthCredit]:
    """The months whose SLA credit is not used up, the oldest first."""
    rows = LedgerEntry.objects.filter(customer_id=customer_id, account=Account.CREDIT, currency=currency).order_by()
    sums = rows.values("month").annotate(left=Sum("amount_minor"), percent=Max("percent"), root=Max("root"))
    return sorted(
        MonthCredit(month_of(cast(date, row["month"])), row["percent"] or 0, row["left"], row["root"])
        for row in sums
        if row["left"] > 0
    )


def credit_minor(customer_id: int, currency: str) -> int:
    """The SLA credit of a customer that is not used up."""
    return sum(each.left_minor for each in credits_left(customer_id, currency))


def grant(customer: Customer, credit: Credit, now: datetime) -> bool:
    """Enter what a month's credit has grown by; whether it did. The same again changes nothing.

    A credit that shrinks (a correction against the customer) takes nothing back of what was granted.
    """
    month = credit.month.first
    with locked(customer.pk):
        granted = LedgerEntry.objects.filter(customer_id=customer.pk, kind=Kind.SLA_CREDIT, month=month)
        more = credit.amount_minor - _sum(granted.filter(currency=credit.currency))
        if more <= 0:
            return False
        add(
            Account.CREDIT,
            Kind.SLA_CREDIT,
            more,
            customer_id=customer.pk,
            currency=credit.currency,
            at=now,
            batch=uuid.uuid4(),
            month=month,
            percent=credit.percent,
            root=credit.root,
        )
        recording.record(
            "sla_credit.grant",
            customer=customer,
            target=f"{month:%Y-%m}",
            amount=text(more, credit.currency),
            percent=credit.percent,
        )
    return True


def use_credits(invoice: Invoice, used: list[tuple[date, int]], now: datetime) -> None:
    """Enter what an invoice's lines have used of SLA credits: month and amount. Call it under `locked`."""
    batch = uuid.uuid4()
    for month, amount in used:
        add(
            Account.CREDIT,
            Kind.SLA_CREDIT_USED,
            -amount,
            customer_id=invoice.customer_id,
            currency=invoice.currency,
            at=now,
            batch=batch,
            month=month,
            invoice=invoice,
        )


def _sum(entries: Any) -> int:
    return int(entries.aggregate(all=Sum("amount_minor"))["all"] or 0)
