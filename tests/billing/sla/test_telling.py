"""A customer hears of a break of its chain by e-mail: once when it is found, once when the chain was begun anew."""

from datetime import date
from smtplib import SMTPServerDisconnected
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends import locmem

from billing.invoices import profiles
from billing.models import RoundFailure, SlaBreakMail, SlaDay
from billing.sla import breaks, running
from billing.sla.forgetting import erasing
from tenants.models import Customer, Membership, Role
from tests.billing.sla.facts import PRICED
from tests.billing.sla.months import at
from tests.billing.sla.renewals import left_out_once
from tests.billing.sla.test_renewing import REASON, broken, renew
from tests.roles import WORKER, acting_as

pytestmark = pytest.mark.django_db
ADA, PAYABLE = "ada@acme.example", "payable@acme.example"


@pytest.fixture(autouse=True)
def people(acme: Customer, django_user_model: Any) -> None:
    """Ada owns it, Ben views it, and somebody is billed, who is written to under two spellings."""
    for name, role in (("ada", Role.OWNER), ("ben", Role.VIEWER)):
        user = django_user_model.objects.create_user(username=name, email=f"{name}@acme.example")
        Membership.objects.create(customer=acme, user=user, role=role)
    profiles.change(
        customer=acme, name="Acme", address="1 Road", postcode="10115", city="Berlin", country="DE",
        vat_id="", reference="", emails=[PAYABLE, "Ada@acme.example"],
    )  # fmt: skip


def told() -> list[tuple[str, str]]:
    """To whom and under which subject, of what went out since the last look."""
    found = [(each.to[0], each.subject) for each in mail.outbox]
    mail.outbox.clear()
    return sorted(found)


BROKE = "The chain of Acme's SLA files broke on 31 January 2026"
ANEW = "The chain of Acme's SLA files was begun anew"


def test_owners_and_who_is_billed_are_told_once_of_a_break_and_once_of_the_new_chain(
    acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(acme, monkeypatch)
    assert "What was sealed up to 30 January 2026 stays verifiable" in mail.outbox[0].body
    assert "From 31 January 2026 on no day can be checked" in mail.outbox[0].body
    assert "the file of that day could not be made" in mail.outbox[0].body
    assert told() == [(ADA, BROKE), (PAYABLE, BROKE)]
    for hour in ("2026-02-05T00:10", "2026-02-06T00:05"):
        running.round_(at(hour), PRICED)
    renew(acme)
    running.round_(at("2026-02-06T10:05"), PRICED)
    assert told() == []  # its first file is not sealed yet
    running.round_(at("2026-02-08T00:05"), PRICED)
    text = mail.outbox[0].body
    assert f"Reason: {REASON}" in text
    assert "Download the files of January 2026 to February 2026 again" in text
    assert "The minutes from 31 January 2026 to 4 February 2026 stand in the file of 5 February 2026" in text
    assert told() == [(ADA, ANEW), (PAYABLE, ANEW)]
    running.round_(at("2026-02-09T00:05"), PRICED)
    assert told() == []


def test_forty_days_without_the_timetable_come_to_the_same_mail(
    acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_out_once(monkeypatch, acme, date(2026, 1, 31))
    running.round_(at("2026-03-15T00:05"), PRICED)
    assert told() == [(ADA, BROKE), (PAYABLE, BROKE)]


def test_a_chain_that_is_whole_is_never_written_about(acme: Customer) -> None:
    running.round_(at("2026-02-05T00:05"), PRICED)
    assert told() == []
    assert not SlaBreakMail.objects.exists()


def test_a_head_that_does_not_follow_is_told_of_too_and_shown_to_staff(acme: Customer) -> None:
    running.round_(at("2026-02-05T00:05"), PRICED)
    with erasing():
        SlaDay.objects.filter(day="2026-02-01").update(head="0" * 64)
    assert not breaks.all_broken().exists()
    running.round_(at("2026-02-06T00:05"), PRICED)
    assert "what is sealed of that day does not follow from the day before" in mail.outbox[0].body
    subject = "The chain of Acme's SLA files broke on 1 February 2026"
    assert told() == [(ADA, subject), (PAYABLE, subject)]
    assert breaks.broke_on(breaks.all_broken().get()) == date(2026, 2, 1)
    renew(acme)
    assert not breaks.all_broken().exists()


def test_a_chain_that_broke_before_its_first_file_promises_nothing_of_days_before(
    acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(acme, monkeypatch, date(2026, 1, 30))
    assert "stays verifiable" not in mail.outbox[0].body
    assert "that you have downloaded" not in mail.outbox[0].body


def test_a_second_break_is_told_of_as_the_first_one_was(acme: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    broken(acme, monkeypatch)
    renew(acme)
    told()
    with monkeypatch.context() as patched:
        left_out_once(patched, acme, date(2026, 2, 4))  # the new chain's first day
        running.round_(at("2026-02-07T00:05"), PRICED)
    subject = "The chain of Acme's SLA files broke on 4 February 2026"
    assert told() == [(ADA, subject), (PAYABLE, subject)]


def test_a_mail_server_that_is_away_delays_it_and_staff_see_that(
    acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> int:
        raise SMTPServerDisconnected("gone")

    with monkeypatch.context() as patched:
        patched.setattr(locmem.EmailBackend, "send_messages", away)
        broken(acme, monkeypatch)
    assert "an e-mail could not be sent" in RoundFailure.objects.get(round="sla_mails").why
    running.round_(at("2026-02-05T00:10"), PRICED)
    assert told() == [(ADA, BROKE), (PAYABLE, BROKE)]
    assert not RoundFailure.objects.filter(round="sla_mails").exists()


def test_a_break_that_was_begun_anew_before_anybody_could_be_told_is_told_once(
    acme: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken(acme, monkeypatch)
    SlaBreakMail.objects.update(sent_at=None)
    renew(acme)
    with monkeypatch.context() as patched:
        patched.setattr("billing.sla.telling.send_due", lambda *_: 0)
        running.round_(at("2026-02-08T00:05"), PRICED)
    told()
    running.round_(at("2026-02-08T00:10"), PRICED)
    assert told() == [(ADA, ANEW), (PAYABLE, ANEW)]


def test_what_is_whole_again_without_a_renewal_is_no_longer_called_broken(acme: Customer) -> None:
    running.round_(at("2026-02-05T00:05"), PRICED)
    head = SlaDay.objects.get(day="2026-02-01").head
    for value, hour, found in (("0" * 64, "2026-02-06T00:05", True), (head, "2026-02-07T00:05", False)):
        with erasing():
            SlaDay.objects.filter(day="2026-02-01").update(head=value)
        running.round_(at(hour), PRICED)
        assert breaks.all_broken().exists() is found


def test_the_worker_may_do_all_of_it(acme: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    with acting_as(WORKER):
        broken(acme, monkeypatch)
    renew(acme)
    with acting_as(WORKER):
        running.round_(at("2026-02-08T00:05"), PRICED)
    assert told() == [(ADA, BROKE), (ADA, ANEW), (PAYABLE, BROKE), (PAYABLE, ANEW)]


def test_without_an_owner_or_a_contact_the_operator_is_told(
    acme: Customer, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.OPERATOR_EMAIL = ["ops@hpns.example"]
    Membership.objects.all().delete()
    profiles.change(
        customer=acme, name="Acme", address="1 Road", postcode="10115", city="Berlin", country="DE",
        vat_id="", reference="", emails=[],
    )  # fmt: skip
    broken(acme, monkeypatch)
    assert told() == [("ops@hpns.example", BROKE)]
