"""Rounds of the SLA on a real database: minutes out of the rollups, sealed days, closed months, credits."""

import random
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, transaction
from django.utils import timezone

from billing import customers
from billing.facts import Month
from billing.models import RoundFailure, SlaCredit, SlaDay, SlaFile, SlaKey, SlaMinute, SlaMonth, SlaRoot
from billing.sla import correcting, judging, keeping, keys, months, reading, running, sealing
from billing.sla.credits import in_all
from billing.sla.forgetting import erasing
from billing.sla.judging import MINUTE, Window
from billing.sla.sources import Price
from billing.sla.verifier import verify_sla
from tenants.models import AuditEvent, Customer
from tenants.problem import ProblemError
from tests.billing.sla.facts import BEGIN, PRICED, pushes, sources
from tests.billing.sla.months import at
from tests.roles import WORKER, acting_as

pytestmark = pytest.mark.django_db


def lines(customer: Customer) -> list[tuple[Any, ...]]:
    return [(row.minute, *row[1:7], row.verdict, row.reason) for row in reading.rows(customer, Month(2026, 1))]


def test_a_minute_is_written_out_of_the_rollups(acme: Customer) -> None:
    minute = at("2026-01-30T10:00")
    pushes(acme, minute, took=900, sent=10, gone=2, own=5)
    pushes(acme, minute, took=2_500, sent=5, provider=1)
    pushes(acme, minute, took=61_000, sent=2, ours=3)
    running.round_(minute + 10 * MINUTE, PRICED)
    # 18 and the 5 late or failed ones are valid; what no app was found for is no valid event.
    row = SlaMinute.objects.get()
    figures = row.valid, row.failed_ours, row.failed_provider, row.failed_customer, row.failed_device
    assert figures == (23, 5, 1, 5, 2)
    assert (row.le_1s, row.le_3s) == (12, 17)
    assert (row.canary, row.verdict, row.reason) == ("good", "bad", "failures")


def test_minutes_without_a_push_have_a_row_only_if_they_are_not_good(acme: Customer) -> None:
    bad, gap, quiet = (at(f"2026-01-30T10:0{n}") for n in (1, 2, 3))
    facts = sources(canary={bad: "bad", gap: "missing", quiet: "missing"})
    cosmos = customers.add(name="Cosmos", offer="hpns").row
    Customer.objects.filter(pk=cosmos.pk).update(created_at=BEGIN)
    pushes(cosmos, quiet, sent=1)  # somebody's push went through while the canary was missing
    running.round_(at("2026-01-30T10:30"), facts)
    assert lines(acme) == [(bad, *[0] * 6, "bad", "canary"), (gap, *[0] * 6, "bad", "no_push")]
    assert [row[-2] for row in lines(cosmos)] == ["bad", "bad", "ok"]


def test_a_canary_missing_for_an_hour_is_bad_unless_others_traffic_passed(acme: Customer) -> None:
    start = at("2026-01-30T10:00")
    silent = {start + n * MINUTE: "missing" for n in range(60)}
    for number in range(0, 60, 2):
        pushes(acme, start + number * MINUTE, sent=1)
    running.round_(at("2026-01-30T12:00"), sources(canary=silent))
    rows = reading.rows(acme, Month(2026, 1))
    assert len(rows) == 60
    assert [row.verdict for row in rows] == ["ok", "bad"] * 30


def test_announced_maintenance_is_excluded(acme: Customer) -> None:
    start = at("2026-01-30T10:00")
    window = Window(start, start + 3 * MINUTE, start - timedelta(days=4))
    pushes(acme, start, ours=50)
    running.round_(at("2026-01-30T11:00"), sources(canary={}, windows=(window,)))
    assert [row.verdict for row in reading.rows(acme, Month(2026, 1))] == ["excluded"] * 3


def test_without_a_key_nothing_is_written_and_without_a_canary_idle_minutes_are_not_judged(db: None) -> None:
    customer = customers.add(name="Acme", offer="hpns").row
    assert running.round_(BEGIN, PRICED) == (0, [])
    assert reading.ledger_of(customer) is None
    keys.new(now=BEGIN)
    Customer.objects.filter(pk=customer.pk).update(created_at=BEGIN)
    pushes(customer, at("2026-01-30T09:00"), sent=1)
    running.round_(at("2026-01-30T10:00"), sources())
    assert SlaMinute.objects.get().canary == "off"


def test_a_day_is_sealed_two_days_later_and_the_month_verifies(acme: Customer) -> None:
    pushes(acme, at("2026-01-30T10:00"), ours=30)
    assert running.round_(at("2026-01-31T23:59"), PRICED).sealed == []
    assert running.round_(at("2026-02-01T00:05"), PRICED).sealed == [date(2026, 1, 30)]
    assert running.round_(at("2026-02-01T00:05"), PRICED).sealed == []
    keys.new(now=at("2026-02-01T12:00"))  # rotation: what was signed before is still verified
    assert running.round_(at("2026-02-03T00:05"), PRICED).sealed == [date(2026, 1, 31), date(2026, 2, 1)]
    assert len(SlaKey.objects.all()) == 2
    package = reading.package(acme, Month(2026, 1))
    published = reading.published()
    told = verify_sla.verify(package.files.__getitem__, [*package.files], published)
    kept = months.kept(SlaMonth.objects.get())
    assert told["uptime"] == str(kept.uptime) == "99.965"
    assert (told["valid"], told["minutes"]) == (30, 2 * 1440)
    assert reading.check_chain(acme) == (3, [])


def week_of_trouble(customer: Customer) -> dict[datetime, str]:
    """Forty-five days of pushes, some of which failed; the canary's verdicts."""
    dice = random.Random(5)  # noqa: S311  a test's
    canary = {}
    for day in range(45):
        for _ in range(4):
            minute = judging.midnight(BEGIN.date()) + timedelta(days=day, minutes=dice.randrange(1440))
            pushes(customer, minute, sent=dice.randrange(300), ours=dice.choice((0, 0, 5, 40)))
            canary[minute + MINUTE] = dice.choice(("good", "bad", "missing"))
    return canary


def everything() -> tuple[list[Any], ...]:
    """All that rounds end in, but for when they did it."""
    return (
        list(SlaDay.objects.order_by("day").values_list("day", "sha")),
        list(SlaFile.objects.order_by("day").values_list("day", "content")),
        list(SlaRoot.objects.order_by("day").values_list("day", "size")),
        list(SlaMonth.objects.order_by("month").values_list("month", *months.FIGURES)),
        list(SlaCredit.objects.order_by("id").values_list("month", "percent", "amount_minor", "currency")),
    )


def test_forty_days_without_a_round_end_as_daily_rounds_do(acme: Customer) -> None:
    facts = sources(canary=week_of_trouble(acme), price=Price(49_999, "EUR"))
    ended = []
    for rounds in (range(46), (0, 1, 42, 42, 45), (45,)):
        with transaction.atomic():
            for day in rounds:
                running.round_(BEGIN + timedelta(days=day, minutes=1), facts)
            ended.append(everything())
            transaction.set_rollback(True)
    assert ended[0] == ended[1] == ended[2]
    assert len(ended[0][0]) == 44
    assert [row[0] for row in ended[0][3]] == [date(2026, 1, 1), date(2026, 2, 1)]
    assert ended[0][4]


def test_a_clock_that_was_set_forward_and_back_changes_nothing_that_is_sealed(acme: Customer) -> None:
    running.round_(BEGIN + timedelta(days=60), PRICED)
    before = everything()
    running.round_(BEGIN + timedelta(days=3), PRICED)
    assert everything() == before
    assert reading.check_chain(acme) == (59, [])


def test_a_clock_that_is_not_the_databases_puts_the_round_off(db: None) -> None:
    running.check_clock(timezone.now())
    for wrong in (-1, 60):
        with pytest.raises(ProblemError, match="put off"):
            running.check_clock(timezone.now() + timedelta(days=wrong))


def test_a_broken_promise_is_credited_once_unasked(acme: Customer) -> None:
    for number in range(4):
        pushes(acme, at("2026-01-30T10:00") + number * MINUTE, ours=30)
    running.round_(at("2026-02-02T00:05"), PRICED)
    running.round_(at("2026-02-02T01:05"), PRICED)
    credit = SlaCredit.objects.get()
    # 4 of 2,880 minutes; 10 % of 499.99, in the customer's favour.
    assert (credit.percent, credit.amount_minor, credit.currency) == (10, 5_000, "EUR")
    assert credit.root == SlaRoot.objects.get(day="2026-01-31").root
    assert AuditEvent.objects.get(action="sla.credit").details["amount"] == "50.00 EUR"


def test_a_plan_without_the_sla_is_measured_and_not_credited(acme: Customer) -> None:
    pushes(acme, at("2026-01-30T10:00"), ours=5_000)
    running.round_(at("2026-02-02T00:05"), sources(canary={}))
    assert SlaMonth.objects.get().credit_percent == 50
    assert not SlaCredit.objects.exists()


def test_the_round_runs_as_the_worker(acme: Customer) -> None:
    for number in range(4):
        pushes(acme, at("2026-01-30T10:00") + number * MINUTE, ours=30)
    with acting_as(WORKER):
        running.round_(at("2026-01-30T11:00"), PRICED)
        running.round_(at("2026-02-02T00:05"), PRICED)
    assert SlaCredit.objects.exists()


def test_the_canarys_own_customer_has_no_ledger(acme: Customer) -> None:
    running.round_(at("2026-02-05T00:05"), sources(canary={}, left_out=frozenset({acme.pk})))
    assert reading.ledger_of(acme) is None


# --- One customer's failure is its own


@pytest.fixture
def cosmos(acme: Customer) -> Customer:
    made = customers.add(name="Cosmos", offer="hpns").row
    Customer.objects.filter(pk=made.pk).update(created_at=BEGIN)
    made.refresh_from_db()
    return made


def failures() -> set[tuple[int, str]]:
    return set(RoundFailure.objects.values_list("customer_id", "round"))


def test_a_broken_chain_keeps_no_other_customer_from_being_sealed_and_credited(
    acme: Customer, cosmos: Customer
) -> None:
    for customer in (acme, cosmos):
        for number in range(4):
            pushes(customer, at("2026-01-30T10:00") + number * MINUTE, ours=30)
    running.round_(at("2026-02-01T00:05"), PRICED)
    with erasing():  # as a restored backup may lack it
        SlaDay.objects.filter(customer=acme).delete()
    running.round_(at("2026-02-03T00:05"), PRICED)
    assert reading.check_chain(cosmos) == (3, [])
    assert SlaRoot.objects.get(day="2026-01-31").size == 1
    assert failures() == {(acme.pk, "sla_seal")}
    assert "lacks the day before" in RoundFailure.objects.get().why
    # Its month is closed and credited all the same, out of the minutes that are kept.
    assert {row.customer_id for row in SlaCredit.objects.all()} == {acme.pk, cosmos.pk}


def test_a_broken_price_keeps_no_other_customer_from_its_credit(acme: Customer, cosmos: Customer) -> None:
    for customer in (acme, cosmos):
        for number in range(4):
            pushes(customer, at("2026-01-30T10:00") + number * MINUTE, ours=30)

    def price(customer: Customer, month: Month) -> Price | None:
        return Price(49_999 // (customer.pk != acme.pk), "EUR")

    facts = PRICED._replace(price=price)
    assert len(running.round_(at("2026-02-02T00:05"), facts).sealed) == 2
    assert SlaCredit.objects.get().customer == cosmos
    assert failures() == {(acme.pk, "sla_months")}
    running.round_(at("2026-02-02T00:10"), PRICED)
    assert failures() == set()
    assert SlaCredit.objects.filter(customer=acme).exists()


def test_impossible_counts_of_one_customer_keep_no_other_from_being_written(
    acme: Customer, cosmos: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for customer in (acme, cosmos):
        pushes(customer, at("2026-01-30T10:00"), sent=3)
    counted = keeping.selectors.minute_counts

    def impossible(start: datetime, end: datetime) -> Any:
        for customer, minute, counts in counted(start, end):
            yield customer, minute, counts._replace(failed_ours=9) if customer == acme.pk else counts

    monkeypatch.setattr(keeping.selectors, "minute_counts", impossible)
    running.round_(at("2026-01-30T10:30"), PRICED)
    assert SlaMinute.objects.get().customer == cosmos
    assert failures() == {(acme.pk, "sla_minutes")}
    running.round_(at("2026-02-01T00:05"), PRICED)
    assert SlaFile.objects.get().customer == cosmos  # none of Acme's that lacks its minutes, for that would be final


def test_a_lock_that_is_not_got_repeats_the_round_rather_than_leaving_a_customer_out(
    acme: Customer, cosmos: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(*_: Any) -> Any:
        raise OperationalError("canceling statement due to lock timeout")

    monkeypatch.setattr(sealing, "_file", late)
    with pytest.raises(OperationalError):
        running.round_(at("2026-02-01T00:05"), PRICED)
    monkeypatch.undo()
    running.round_(at("2026-02-01T00:10"), PRICED)
    assert SlaRoot.objects.get().size == 2


# --- A plan whose currency was changed


def test_a_months_credit_stays_on_the_fee_that_it_was_first_given_on(acme: Customer) -> None:
    for number in range(4):
        pushes(acme, at("2026-01-30T10:00") + number * MINUTE, ours=30)
    running.round_(at("2026-02-02T00:05"), PRICED)
    dollars = sources(canary={}, price=Price(9_000_000, "USD"))
    for number in range(60):
        minute = at("2026-01-31T10:00") + number * MINUTE
        correcting.correct(
            acme, minute, reason="they failed", now=at("2026-02-03T00:05"), sources=dollars, valid=9, failed_ours=9
        )
    first, second = SlaCredit.objects.order_by("id")
    assert (first.percent, second.percent, second.currency, second.price_minor) == (10, 25, "EUR", 49_999)
    assert first.amount_minor + second.amount_minor == 12_500
    assert [each.amount_minor for each in in_all(acme.pk)] == [12_500]
