"""What one part of billing says and another one makes of it: as billing/wiring.py has them."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import redis
from pytest_django import Settings

from billing.facts import Month
from billing.invoices import daily, drafting, issuing, ledger, payments
from billing.invoices.sources import SOURCES
from billing.licences import proving
from billing.models import CanaryMinute, InvoiceDraft, PlanVersion, SlaCredit
from billing.sla import sources as sla_sources
from billing.subscriptions import applying, changing, plan_changes
from tenants.models import Customer, Entitlement
from tests.billing.invoices.making import SELLER_JSON, billed
from tests.billing.licences import making
from tests.billing.subscriptions.agreed import seed
from tests.browsing import tenant
from tests.tenants.two_customers import page_of

START = datetime(2026, 1, 15, 10, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def acme(db: None, valkey: redis.Redis) -> Customer:
    seed()
    return tenant("Acme").customer


def begin(customer: Customer, code: str, at: datetime = START) -> None:
    version = PlanVersion.objects.filter(plan__code=code).latest("version")
    changing.start(customer=customer, version=version, now=at)


def drafted(customer: Customer, now: datetime) -> dict[str, list[int]]:
    """The amounts on each draft by its day."""
    daily.refresh(customer, SOURCES, now)
    rows = InvoiceDraft.objects.filter(customer=customer).order_by("ready_on")
    return {str(row.ready_on): [line.amount_minor for line in drafting.lines_of(row)] for row in rows}


def test_a_credit_that_a_correction_has_raised_is_granted_whole(acme: Customer) -> None:
    for percent, amount in ((10, 4_990), (25, 7_485)):
        common = {"price_minor": 49_900, "currency": "EUR", "root": "ab" * 32, "made_at": START}
        SlaCredit.objects.create(customer=acme, month=date(2026, 1, 1), percent=percent, amount_minor=amount, **common)
        daily.refresh(acme, SOURCES, START)
    daily.refresh(acme, SOURCES, START + DAY)
    (left,) = ledger.credits_left(acme.pk, "EUR")
    assert (left.month, left.percent, left.left_minor) == (Month(2026, 1), 25, 12_475)


def test_a_dearer_plan_is_charged_by_the_next_invoice_and_what_was_drafted_keeps_its_price(acme: Customer) -> None:
    begin(acme, "hpns")
    assert drafted(acme, START) == {"2026-01-15": [49_900], "2026-02-15": [49_900]}
    at = START + 10 * DAY
    made = plan_changes.change(customer=acme, code="eas", now=at)
    assert made.changed
    found = drafted(acme, at)
    (less, more) = found["2026-02-15"][1], found["2026-02-15"][0]
    assert found["2026-01-15"] == [49_900]
    assert (more, 20_000 < less < 30_000) == (79_900, True)  # 21 of 31 days of the difference of 300.00


def test_a_cheaper_plan_is_credited_and_what_is_left_of_it_waits_for_the_next_invoice(acme: Customer) -> None:
    begin(acme, "hpns-year")
    at = START + 40 * DAY
    plan_changes.change(customer=acme, code="hpns", now=at)
    found = drafted(acme, START + 110 * DAY)
    assert found["2026-01-15"] == [499_000]
    sums = {day: sum(amounts) for day, amounts in found.items()}
    assert "2026-03-15" not in sums  # periods begin with the change by now
    assert all(amount >= 0 for amount in sums.values())
    assert sums["2026-03-24"] == sums["2026-04-24"] == 0
    assert found["2026-03-24"] == [49_900, -49_900]


def test_a_change_to_years_charges_the_year_once_and_the_next_one_when_it_is_over(acme: Customer) -> None:
    begin(acme, "hpns")
    at = START + 40 * DAY
    plan_changes.change(customer=acme, code="hpns-year", now=at)
    found = drafted(acme, datetime(2027, 2, 16, tzinfo=UTC))
    charged = {day: amounts for day, amounts in found.items() if amounts}
    assert list(charged) == ["2026-01-15", "2026-02-15", "2026-03-24", "2027-02-24"]
    assert charged["2027-02-24"] == [499_000]
    assert 499_000 - 49_900 < charged["2026-03-24"][0] < 499_000


def test_days_without_the_timetable_and_issued_invoices_change_nothing_about_a_change_of_plan(acme: Customer) -> None:
    begin(acme, "hpns")
    at = START + 10 * DAY
    plan_changes.change(customer=acme, code="eas", now=at)
    once = drafted(acme, START + 70 * DAY)
    InvoiceDraft.objects.all().delete()
    for day in range(71):
        found = drafted(acme, START + day * DAY)
    assert found == once


def test_what_an_ended_subscription_still_owes_is_billed_beside_the_one_that_counts_now(acme: Customer) -> None:
    begin(acme, "hpns")
    row = acme.subscriptions.get()
    changing.cancel(subscription=row, at=START + 20 * DAY, now=START + DAY)
    begin(acme, "eas", START + 25 * DAY)
    assert drafted(acme, START + 26 * DAY)["2026-01-15"] == [49_900]
    assert drafted(acme, START + 26 * DAY)["2026-02-09"] == [79_900]


def entitled(customer: Customer) -> tuple[str, bool]:
    row = Entitlement.objects.get(customer=customer)
    return row.refusal, row.may_grow


def test_a_licence_that_is_proven_or_withdrawn_counts_at_once(
    acme: Customer, tmp_path: Path, settings: Settings
) -> None:
    settings.LICENCE_KEYS = making.key_folder(tmp_path / "issuers")
    begin(acme, "e1", making.NOW - 80 * DAY)
    applying.apply(acme, making.NOW)
    assert entitled(acme) == ("licence_expired", False)
    with page_of(acme):
        made = proving.upload(customer=acme, data=making.made(), now=making.NOW)
    assert entitled(acme) == ("", True)
    with page_of(acme):
        proving.withdraw(proof=made.proof, now=making.NOW)
    assert entitled(acme)[1] is False


def test_a_payment_counts_at_once_and_stays_where_billing_is_broken(
    acme: Customer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SELLER = SELLER_JSON
    billed(acme)
    begin(acme, "hpns")
    drafted(acme, START)
    invoice = issuing.issue(InvoiceDraft.objects.get(ready_on=START.date()), now=START)
    late = START + 80 * DAY
    applying.apply(acme, late)
    assert entitled(acme) == ("subscription_unpaid", False)
    half = invoice.gross_minor // 2
    with monkeypatch.context() as patched:
        patched.setattr(applying, "apply", broken)
        payments.record(invoice, amount_minor=half, currency="EUR", reference="1", now=late)
    assert entitled(acme) == ("subscription_unpaid", False)  # the last entitlement stays, and so does the payment
    payments.record(invoice, amount_minor=invoice.gross_minor - half, currency="EUR", reference="2", now=late)
    assert entitled(acme) == ("", True)


def broken(*_: object) -> None:
    raise ZeroDivisionError


def test_a_canary_that_is_set_up_makes_no_outage_of_the_time_before(acme: Customer) -> None:
    minute = timedelta(minutes=1)
    sources = sla_sources.wired()
    Customer.objects.filter(pk=acme.pk).update(canary=True)
    assert sources.canary(START, START + 3 * minute) is None
    CanaryMinute.objects.create(at=START + minute, family="apns", good=True, ms=1)
    assert sources.canary(START, START + 3 * minute) == {START: "off", START + minute: "good"}
    assert set((sources.canary(START - DAY, START) or {}).values()) == {"off"}
