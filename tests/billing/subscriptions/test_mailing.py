"""E-mail about subscriptions: each step once, to the owners and who is billed, and after a pause the latest alone."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from pytest_django import Settings

from billing.models import SubscriptionMail
from billing.subscriptions import mailing
from tenants.models import Role
from tests.billing.subscriptions.agreed import DAY, invoice, proof
from tests.billing.subscriptions.conftest import Facts
from tests.billing.subscriptions.test_applying import START, begin
from tests.browsing import Tenant, member
from tests.roles import WORKER, acting_as

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def people(acme: Tenant) -> None:
    member("ada", acme.customer, Role.OWNER)
    member("dora", acme.customer, Role.ADMIN)


def daily(facts: Facts, days: int) -> Iterator[tuple[int, str]]:
    """The subjects of what is sent, by the days since START, where the timetable runs every twelve hours."""
    for half in range(2 * days):
        before = len(mail.outbox)
        with acting_as(WORKER):
            mailing.send_due(START + half * DAY / 2, facts.sources)
        yield from ((half // 2, each.subject) for each in mail.outbox[before:])


def test_a_trial_is_said_to_end_seven_days_and_a_day_before_it_and_when_it_has(acme: Tenant, facts: Facts) -> None:
    begin(acme, "trial", facts)
    assert list(daily(facts, 40)) == [
        (23, "The trial of Acme ends in 7 days"),
        (29, "The trial of Acme ends in 1 day"),
        (30, "Pushes of Acme are refused"),
    ]
    assert [each.to for each in mail.outbox] == [["ada@acme.example"]] * 3
    text = str(mail.outbox[0].body)
    assert "The trial runs until 1 March 2026." in text
    assert "To do: Choose a plan before the trial ends." in text
    assert "2 March 2026: suspended (pushes are refused; wipes and receipts of phones pass)" in text
    assert "https://push.example.com/c/acme/subscription/" in text


def test_what_is_past_due_is_said_by_the_table_and_goes_to_who_is_billed_too(acme: Tenant, facts: Facts) -> None:
    row = begin(acme, "hpns", facts)
    facts.contacts.extend(["bills@acme.example", "ADA@acme.example"])
    facts.invoices.append(invoice(START + 10 * DAY, row.pk))
    assert [day for day, _ in daily(facts, 70)] == [day for day in (10, 16, 23, 30, 37, 40, 48, 55) for _ in range(2)]
    assert {each.to[0] for each in mail.outbox} == {"ADA@acme.example", "bills@acme.example"}
    subjects = list(dict.fromkeys(each.subject for each in mail.outbox))
    assert subjects == [
        "Acme: the push subscription is past due",
        "Acme: no servers, keys and apps can be added",
        "Pushes of Acme will be refused from 27 March 2026 on",
        "Pushes of Acme are refused",
    ]


def test_a_licence_is_said_to_end_by_the_table_and_a_renewal_begins_anew(acme: Tenant, facts: Facts) -> None:
    facts.proofs.append(proof(START - DAY, START + 70 * DAY, acme.customer.pk))
    begin(acme, "e1", facts)
    assert [day for day, _ in daily(facts, 70)] == [10, 40, 56, 63, 69]
    facts.proofs.append(proof(START + 70 * DAY, START + 500 * DAY, acme.customer.pk))
    assert mailing.send_due(START + 71 * DAY, facts.sources) == 0
    assert mailing.send_due(START + 440 * DAY, facts.sources) == 1


@pytest.mark.parametrize("paused", [3, 25, 40])
def test_after_a_pause_the_latest_step_alone_is_sent_and_none_again_when_the_clock_goes_back(
    acme: Tenant, facts: Facts, paused: int
) -> None:
    row = begin(acme, "hpns", facts)
    facts.invoices.append(invoice(START, row.pk))
    now = START + paused * DAY
    assert mailing.send_due(now, facts.sources) == 1
    assert mailing.send_due(now, facts.sources) == mailing.send_due(now + timedelta(hours=1), facts.sources) == 0
    assert len(mail.outbox) == SubscriptionMail.objects.count() == 1
    known = {(each.kind, each.days) for each in SubscriptionMail.objects.all()}
    mailing.send_due(START + 2 * DAY, facts.sources)
    mailing.send_due(now, facts.sources)
    assert known <= {(each.kind, each.days) for each in SubscriptionMail.objects.all()}
    assert len(mail.outbox) == SubscriptionMail.objects.count() <= 2


def test_what_could_not_be_sent_to_anybody_is_sent_the_next_time(
    acme: Tenant, facts: Facts, settings: Settings
) -> None:
    begin(acme, "trial", facts)
    good = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    now = START + 24 * DAY
    assert mailing.send_due(now, facts.sources) == 0
    settings.EMAIL_BACKEND = good
    assert mailing.send_due(now, facts.sources) == 1
    assert [each.subject for each in mail.outbox] == ["The trial of Acme ends in 6 days"]


def test_a_fault_with_one_customer_keeps_no_mail_from_another(acme: Tenant, facts: Facts) -> None:
    begin(acme, "trial", facts)

    def broken(_: Any) -> Any:
        raise ZeroDivisionError

    assert mailing.send_due(START + 24 * DAY, facts.sources._replace(proofs=broken)) == 0
    assert mailing.send_due(START + 24 * DAY, facts.sources) == 1
