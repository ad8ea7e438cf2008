"""Reminders of overdue invoices that no standing of a subscription reminds of, and mails that fail for one customer."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail as outbox

from billing import customers
from billing.invoices import drafting, issuing, mails, payments, reminding
from billing.invoices.document import Line
from billing.invoices.sources import SOURCES, Sources
from billing.models import RoundFailure
from tenants import mail
from tenants.models import Customer, Role
from tests.billing.invoices.making import NOW, billed, issued
from tests.browsing import member

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
DUE = NOW + 30 * DAY


@pytest.fixture
def alone() -> Sources:
    """Nobody else reminds of anything."""
    return SOURCES._replace(reminded=lambda _customer, _now: None)


def sent(sources: Sources, after: int) -> list[tuple[str, str]]:
    outbox.outbox.clear()
    reminding.send_due(sources, DUE + after * DAY)
    return [(each.to[0], each.subject) for each in outbox.outbox]


def test_who_owes_a_hand_made_invoice_is_reminded_by_the_standings_table(acme: Customer, alone: Sources) -> None:
    member("owner", acme, Role.OWNER)
    member("viewer", acme, Role.VIEWER)
    made = issued(acme)
    to = {"books@acme.example", "owner@acme.example"}
    found = {days: sent(alone, days) for days in range(40)}
    assert {days for days, each in found.items() if each} == {1, 7, 14, 21, 28}
    assert all({address for address, _ in found[days]} == to for days in (1, 7, 14, 21, 28))
    assert found[1][0][1] == f"Invoice {made.number} for Acme is not paid: 119.00 EUR"


def test_after_a_pause_the_latest_reminder_alone_is_sent_and_once(acme: Customer, alone: Sources) -> None:
    issued(acme)
    assert len(sent(alone, 15)) == 1
    assert "was due on 30 December 2026, 15 days ago" in str(outbox.outbox[0].body)
    assert sent(alone, 15) == sent(alone, 8) == []
    assert len(sent(alone, 60)) == 1


def test_what_is_paid_or_reminded_of_by_a_standing_is_not_reminded_of_again(acme: Customer, alone: Sources) -> None:
    made = issued(acme)
    draft = drafting.make(acme, currency="EUR", lines=[Line("x", 100)], now=NOW)
    draft.subscription_id = 7
    draft.save()
    issuing.issue(draft, now=NOW)
    payments.record(made, amount_minor=made.gross_minor, currency="EUR", reference="all", now=NOW)
    assert sent(alone._replace(reminded=lambda _customer, _now: 7), 2) == []
    # The subscription has ended, and its standing speaks of other things.
    assert len(sent(alone._replace(reminded=lambda _customer, _now: 8), 2)) == 1


@pytest.mark.parametrize("fault", [mail.MailError("books@acme.example", "refused"), ZeroDivisionError()])
def test_what_cannot_be_mailed_to_one_customer_is_mailed_to_the_others(
    acme: Customer, alone: Sources, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    cosmos = billed(customers.add(name="Cosmos", offer="hpns").row, emails=["books@cosmos.example"])
    for each in (acme, cosmos):
        issued(each)
    delivered: list[str] = []

    def send(_template: str, *, to: str, **_more: Any) -> None:
        if "acme" in to:
            raise fault
        delivered.append(to)

    monkeypatch.setattr(mail, "send", send)

    def failing(now: datetime) -> set[tuple[int, str]]:
        mails.send_pending(NOW)
        reminding.send_due(alone, now)
        return set(RoundFailure.objects.values_list("customer_id", "round"))

    assert failing(DUE + DAY) == {(acme.pk, "invoice_mails"), (acme.pk, "reminders")}
    assert delivered == ["books@cosmos.example"] * 2
    monkeypatch.undo()
    assert failing(DUE + DAY) == set()
