"""A customer whose chain broke is left out of every tree, until staff begin the chain anew with the break in it."""

from contextlib import nullcontext
from datetime import date
from typing import Any

import pytest

from billing import customers
from billing.facts import Month
from billing.models import RoundFailure, SlaDay, SlaMinute, SlaMonth, SlaRenewal, SlaRoot
from billing.sla import breaks, correcting, months, reading, renewing, running, sealing
from billing.sla.forgetting import erasing
from billing.sla.judging import MINUTE
from billing.sla.verifier import verify_sla
from tenants.audit import recording
from tenants.models import AuditEvent, Customer
from tenants.problem import ProblemError
from tests.billing.sla.facts import BEGIN, PRICED, pushes
from tests.billing.sla.months import at
from tests.billing.sla.renewals import left_out_once
from tests.roles import PAGES, WORKER, acting_as
from tests.tenants.two_customers import refused, sql

pytestmark = pytest.mark.django_db
JANUARY, FEBRUARY = Month(2026, 1), Month(2026, 2)
REASON = "the file of 31 January could not be made"


def broken(customer: Customer, monkeypatch: pytest.MonkeyPatch, day: date = date(2026, 1, 31)) -> None:
    """Seal up to 3 February with the customer left out from `day` on, whose file could not be made once."""
    with monkeypatch.context() as patched:
        left_out_once(patched, customer, day)
        running.round_(at("2026-02-05T00:05"), PRICED)


def verified(customer: Customer, month: Month) -> dict[str, Any]:
    files = reading.package(customer, month).files
    return verify_sla.verify(files.__getitem__, [*files], reading.published())


def renew(customer: Customer, reason: str = REASON) -> SlaRenewal:
    with recording.acting(recording.Actor(AuditEvent.Kind.STAFF, "sam@hpns.example")):
        return renewing.renew(customer, reason=reason, now=at("2026-02-05T10:00"))


@pytest.fixture
def with_trouble(acme: Customer) -> Customer:
    """Pushes on each of the first days, of which we failed those of 31 January."""
    for day in ("30", "31"):
        pushes(acme, at(f"2026-01-{day}T10:00"), sent=30)
    for number in range(40):
        pushes(acme, at("2026-01-31T11:00") + number * MINUTE, ours=30)
    pushes(acme, at("2026-02-02T10:00"), sent=30)
    return acme


def test_a_broken_chain_is_in_the_tree_and_provable_again_with_the_break_named(
    with_trouble: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = with_trouble
    broken(acme, monkeypatch)
    assert breaks.all_broken().get().customer == acme
    assert breaks.broken(breaks.all_broken().get()) == (date(2026, 1, 31), SlaDay.objects.get().head)
    assert [row.size for row in SlaRoot.objects.order_by("day")] == [1, 0, 0, 0, 0][: SlaRoot.objects.count()]
    count, wrong = reading.check_chain(acme)
    assert (count, len(wrong)) == (1, 1)
    assert "broken since 2026-01-31" in wrong[0]
    made = renew(acme)
    assert (made.broke_on, made.begins, made.decided_by) == (date(2026, 1, 31), date(2026, 2, 4), "sam@hpns.example")
    assert not breaks.all_broken().exists()
    running.round_(at("2026-02-08T00:05"), PRICED)
    assert SlaRoot.objects.get(day="2026-02-05").size == 1
    assert not RoundFailure.objects.exists()
    assert reading.check_chain(acme) == (4, [])
    told = verified(acme, JANUARY)
    # The month as it was credited: the day that had no file is in it, minute by minute.
    kept = months.kept(SlaMonth.objects.get(customer=acme))
    assert (told["uptime"], told["bad_minutes"], told["sealed_late"]) == (str(kept.uptime), 40, ["2026-01-31"])
    assert verified(acme, FEBRUARY)["sealed_late"] == ["2026-02-01", "2026-02-02", "2026-02-03"]
    named = reading.package(acme, FEBRUARY).files["breaks.csv"].decode()
    assert named.endswith(f",2026-02-04,2026-02-05T10:00Z,sam@hpns.example,{REASON}\n")


def test_what_was_sealed_before_the_break_verifies_while_it_is_broken(
    with_trouble: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(with_trouble, monkeypatch)
    told = verified(with_trouble, JANUARY)
    assert (told["sealed_to"], told["minutes"]) == ("2026-01-30", 1440)
    with pytest.raises(ProblemError, match="no day of 2026-02 is sealed"):
        reading.package(with_trouble, FEBRUARY)
    renew(with_trouble)  # decided, and its first day is not sealed yet
    assert verified(with_trouble, JANUARY) == told
    assert reading.check_chain(with_trouble) == (1, [])


def test_a_chain_that_broke_on_its_first_day_and_again_on_the_day_of_its_renewal_is_mended_by_another(
    with_trouble: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(with_trouble, monkeypatch, BEGIN.date())
    assert not SlaDay.objects.exists()
    renew(with_trouble)
    with monkeypatch.context() as patched:
        patched.setattr(sealing, "_file", lambda *_: (_ for _ in ()).throw(ProblemError("impossible again")))
        running.round_(at("2026-02-07T00:05"), PRICED)
    renewing.renew(with_trouble, reason="and again", now=at("2026-02-07T10:00"))
    running.round_(at("2026-02-10T00:05"), PRICED)
    assert reading.check_chain(with_trouble)[1] == []
    assert verified(with_trouble, JANUARY)["sealed_late"] == ["2026-01-30", "2026-01-31"]
    assert reading.package(with_trouble, FEBRUARY).files["breaks.csv"].count(b"\n") == 3


def test_a_head_that_does_not_follow_is_left_behind(acme: Customer) -> None:
    running.round_(at("2026-02-05T00:05"), PRICED)
    before = SlaDay.objects.get(day="2026-01-31")
    with erasing():
        SlaDay.objects.filter(day="2026-02-01").update(head="0" * 64)
    assert breaks.broken(reading.ledger_of(acme)) == (date(2026, 2, 1), before.head)
    renew(acme)
    running.round_(at("2026-02-08T00:05"), PRICED)
    assert reading.check_chain(acme)[1] == []
    assert verified(acme, FEBRUARY)["sealed_late"] == ["2026-02-01", "2026-02-02", "2026-02-03"]


def test_a_correction_of_and_on_a_day_that_has_no_file_stands_in_the_first_one(
    with_trouble: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(with_trouble, monkeypatch)
    now = at("2026-02-04T09:00")
    for minute in ("2026-01-30T10:00", "2026-02-02T10:00"):  # before the break, and in it
        correcting.correct(
            with_trouble, at(minute), reason="late rows", now=now, sources=PRICED, failed_ours=29, le_1s=0, le_3s=0
        )
    renew(with_trouble)
    running.round_(at("2026-02-09T00:05"), PRICED)
    assert verified(with_trouble, JANUARY)["failed_ours"] == 40 * 30 + 29
    assert verified(with_trouble, FEBRUARY)["failed_ours"] == 29


def test_others_are_sealed_and_proven_as_ever(acme: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    cosmos = customers.add(name="Cosmos", offer="hpns").row
    Customer.objects.filter(pk=cosmos.pk).update(created_at=BEGIN)
    broken(acme, monkeypatch)
    renew(acme)
    running.round_(at("2026-02-08T00:05"), PRICED)
    assert "sealed_late" not in verified(cosmos, FEBRUARY)
    assert "breaks.csv" not in reading.package(cosmos, FEBRUARY).files


def test_a_whole_chain_is_not_begun_anew_nor_is_one_without_a_reason(
    acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.round_(at("2026-01-31T00:05"), PRICED)
    with pytest.raises(ProblemError, match="whole"):
        renew(acme)
    broken(acme, monkeypatch)
    for reason in ("", "no", "a, b", "x" * 201):
        with pytest.raises(ProblemError, match="the reason is"):
            renew(acme, reason)
    renew(acme)
    with pytest.raises(ProblemError, match="whole"):
        renew(acme)
    assert AuditEvent.objects.filter(action="sla.renew", customer_id=acme.pk).get().details["reason"] == REASON


@pytest.mark.parametrize("role", [WORKER, PAGES, ""])
def test_nobody_changes_a_renewal_or_the_minutes_that_it_seals(
    with_trouble: Customer, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    broken(with_trouble, monkeypatch)
    renew(with_trouble)
    assert SlaMinute.objects.filter(minute__gte=at("2026-01-31"), minute__lt=at("2026-02-01")).count() == 41
    sql("SELECT set_config('hpns.erasure', '', true)")
    with acting_as(role) if role else nullcontext():
        for statement in (
            "UPDATE billing_slarenewal SET reason = 'none'",
            "DELETE FROM billing_slarenewal",
            "DELETE FROM billing_slaminute WHERE minute >= '2026-01-31' AND minute < '2026-02-01'",
        ):
            with refused():
                print(statement, sql(statement))
