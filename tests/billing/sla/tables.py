"""Rows in the tables of the SLA's ledger, one of each."""

import uuid
from datetime import date
from decimal import Decimal

from billing.models import (
    SlaBreakMail,
    SlaCorrection,
    SlaCredit,
    SlaDay,
    SlaFile,
    SlaLedger,
    SlaMinute,
    SlaMonth,
    SlaRenewal,
)
from tenants.models import Customer
from tests.billing.sla.months import at, row

DAY = date(2026, 1, 2)


def ledger_rows(customer: Customer) -> None:
    """A row of each kind, of a sealed day and of the next one."""
    SlaLedger.objects.create(customer=customer, public_id=uuid.uuid4(), begins=DAY)
    SlaMinute.objects.create(customer=customer, **row(at("2026-01-02T03:04"), 20, 2)._asdict())
    SlaDay.objects.create(customer=customer, day=DAY, sha="a" * 64, head="b" * 64, index=0, size=1, path=[])
    SlaFile.objects.create(customer=customer, day=DAY, content="minute\n")
    SlaRenewal.objects.create(
        customer=customer, broke_on=date(2026, 1, 3), old_head="b" * 64, begins=date(2026, 1, 9),
        decided_at=at("2026-01-08T10:00"), decided_by="ops@hpns.example", reason="no minutes",
    )  # fmt: skip
    SlaBreakMail.objects.create(customer=customer, kind="broken", day=date(2026, 1, 3), found_at=at("2026-01-05"))
    fixed = row(at("2026-01-02T03:04"), 20, 3)._replace(reason="correction: late rows")
    SlaCorrection.objects.create(
        customer=customer, day=date(2026, 1, 5), favours_customer=True, made_at=at("2026-01-05"), **fixed._asdict()
    )
    SlaMonth.objects.create(
        customer=customer, month=date(2026, 1, 1), valid=20, failed_ours=2, minutes=43_200, bad_minutes=1,
        excluded_minutes=0, by_time=Decimal("99.997"), uptime=Decimal("99.997"), within_1s=Decimal(45),
        within_3s=Decimal(90), credit_percent=0,
    )  # fmt: skip
    SlaCredit.objects.create(
        customer=customer, month=date(2026, 1, 1), percent=10, price_minor=1_000, amount_minor=100, currency="EUR",
        root="c" * 64, made_at=at("2026-02-03"),
    )  # fmt: skip
