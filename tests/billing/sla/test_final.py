"""What is sealed stays: corrections beside it, grants and triggers, retention, erasure."""

from contextlib import nullcontext
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing import customers
from billing.facts import Month
from billing.models import SlaCredit, SlaDay, SlaFile, SlaMinute, SlaRoot
from billing.sla import comparing, correcting, forgetting, reading, running
from billing.sla.judging import MINUTE
from billing.sla.verifier import verify_sla
from tenants.models import Customer
from tenants.problem import ProblemError
from tests.billing.sla.facts import BEGIN, PRICED, pushes
from tests.billing.sla.months import at
from tests.roles import PAGES, WORKER, acting_as
from tests.tenants.two_customers import refused, sql

pytestmark = pytest.mark.django_db


def test_a_correction_counts_at_once_and_stands_in_a_later_file(acme: Customer, mailoutbox: list[Any]) -> None:
    minute = at("2026-01-30T10:00")
    pushes(acme, minute, sent=30)
    for number in range(1, 3):
        pushes(acme, minute + number * MINUTE, ours=30)
    now = at("2026-02-02T00:05")
    running.round_(now, PRICED)
    assert not SlaCredit.objects.exists()
    made, told = correcting.correct(
        acme, minute, reason="late rows", now=now, sources=PRICED, failed_ours=29, le_1s=1, le_3s=1
    )
    assert made.favours_customer
    assert told is not None
    assert (told.bad_minutes, told.uptime) == (3, Decimal("99.895"))
    assert SlaCredit.objects.get().percent == 10
    assert not mailoutbox
    running.round_(at("2026-02-05T00:05"), PRICED)
    files = reading.package(acme, Month(2026, 1)).files
    assert b"correction: late rows" in files["days/2026-02-02.csv"]
    assert verify_sla.verify(files.__getitem__, [*files])["uptime"] == "99.895"
    assert reading.check_chain(acme) == (5, [])


def test_a_correction_against_the_customer_is_mailed_and_takes_no_credit_back(
    acme: Customer, mailoutbox: list[Any]
) -> None:
    acme.contacts = ["ops@acme.example"]
    acme.save()
    minute = at("2026-01-30T10:00")
    for number in range(4):
        pushes(acme, minute + number * MINUTE, ours=30)
    now = at("2026-02-02T00:05")
    running.round_(now, PRICED)
    made, told = correcting.correct(acme, minute, reason="a flood of tests", now=now, sources=PRICED, failed_ours=0)
    assert not made.favours_customer
    assert told is not None
    assert told.bad_minutes == 3
    assert [mail.to for mail in mailoutbox] == [["ops@acme.example"]]
    assert "a flood of tests" in mailoutbox[0].body
    assert SlaCredit.objects.get().amount_minor == 5_000


@pytest.mark.parametrize(
    ("minute", "reason", "changes", "why"),
    [
        ("2026-01-31T10:00", "late rows", {"failed_ours": 1}, "not sealed"),
        ("2026-01-30T10:00", "a, b", {"failed_ours": 1}, "the reason is"),
        ("2026-01-30T10:00", "late rows", {"failed_ours": 31}, "cannot be"),
        ("2026-01-30T10:00", "late rows", {"verdict": "ok"}, "no figure"),
    ],
)
def test_a_correction_that_cannot_be_is_refused(
    acme: Customer, minute: str, reason: str, changes: dict[str, Any], why: str
) -> None:
    pushes(acme, at("2026-01-30T10:00"), sent=30)
    now = at("2026-02-01T00:05")
    running.round_(now, PRICED)
    with pytest.raises(ProblemError, match=why):
        correcting.correct(acme, at(minute), reason=reason, now=now, sources=PRICED, **changes)


def test_pushes_that_were_recorded_too_late_are_shown(acme: Customer) -> None:
    running.round_(at("2026-02-01T00:05"), PRICED)
    assert comparing.differing(acme, now=at("2026-02-01T00:05"), sources=PRICED) == []
    pushes(acme, at("2026-01-30T10:00"), ours=3)
    found = comparing.differing(acme, now=at("2026-02-01T00:05"), sources=PRICED)
    assert [(one["ledger"], one["rollups"][:22]) for one in found] == [("", "2026-01-30T10:00Z,3,3,")]


@pytest.mark.parametrize("role", [WORKER, PAGES, ""])
def test_nobody_changes_what_is_sealed(acme: Customer, role: str) -> None:
    pushes(acme, at("2026-01-30T10:00"), ours=50)
    running.round_(at("2026-02-02T00:05"), PRICED)
    statements = [
        f"{what} billing_{table}{change}"
        for table in ("slaminute", "sladay", "slafile", "slaroot")
        for what, change in (("UPDATE", " SET id = id" if table != "slaroot" else " SET size = 0"), ("DELETE FROM", ""))
    ]
    new = "INSERT INTO billing_slaminute (customer_id, minute, valid, failed_ours, failed_provider, failed_customer, "
    new += "failed_device, le_1s, le_3s, canary, verdict, reason) "
    new += f"VALUES ({acme.pk}, '2026-01-30T11:00Z', 1, 0, 0, 0, 0, 1, 1, 'good', 'ok', '')"
    sql("SELECT set_config('hpns.erasure', '', true)")
    with acting_as(role) if role else nullcontext():
        for statement in (*statements, new):
            with refused():
                print(statement, sql(statement))


def test_files_go_after_25_months_and_heads_stay(acme: Customer) -> None:
    pushes(acme, at("2026-01-30T10:00"), sent=1)
    running.round_(at("2026-02-05T00:05"), PRICED)
    days = SlaDay.objects.count()
    assert forgetting.forget(at("2028-02-28T00:00")) == 0
    assert forgetting.forget(at("2028-03-01T00:00")) == 3
    assert not SlaMinute.objects.exists()
    assert SlaFile.objects.earliest("day").day == date(2026, 2, 1)
    assert SlaDay.objects.count() == days
    assert reading.check_chain(acme) == (days, [])
    with pytest.raises(ProblemError, match="25 months"):
        reading.package(acme, Month(2026, 1))


def test_an_erased_customer_leaves_the_others_proofs(acme: Customer) -> None:
    cosmos = customers.add(name="Cosmos", offer="hpns").row
    Customer.objects.filter(pk=cosmos.pk).update(created_at=BEGIN)
    running.round_(at("2026-02-05T00:05"), PRICED)
    assert SlaRoot.objects.get(day="2026-02-01").size == 2
    customers.suspend(customer=acme, reason="unpaid")
    acme.refresh_from_db()
    customers.erase(customer=acme)
    running.round_(at("2026-02-06T00:05"), PRICED)
    assert reading.check_chain(cosmos) == (6, [])
    files = reading.package(cosmos, Month(2026, 1)).files
    verify_sla.verify(files.__getitem__, [*files], reading.published())
