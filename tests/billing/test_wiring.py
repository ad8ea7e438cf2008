"""What the parts of billing tell each other in the running service."""

from typing import Any

import pytest
from django.core import mail
from django.utils import timezone
from pytest_django import Settings

from billing.invoices import daily, issuing, mails
from billing.invoices.sources import SOURCES
from billing.licences import proving
from billing.models import Invoice, LastStanding
from billing.subscriptions import changing, mailing
from billing.subscriptions import reading as subscriptions
from billing.usage import sources as usage
from tenants.models import Customer, Role
from tests.billing.invoices.making import SELLER_JSON, billed
from tests.billing.licences import making
from tests.billing.licences.making import lasting
from tests.billing.subscriptions.agreed import DAY, seed
from tests.browsing import Tenant, member, tenant

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture
def acme(settings: Settings, tmp_path: Any) -> Tenant:
    settings.SELLER, settings.PUBLIC_URL = SELLER_JSON, "https://push.example.com"
    settings.LICENCE_KEYS = making.key_folder(tmp_path / "issuers")
    seed()
    return tenant("Acme")


def included(customer: Customer) -> int | None:
    found = usage.current().terms(Customer.objects.get(pk=customer.pk))
    return found.included_pushes if found else None


def test_a_licence_of_mattermost_entry_is_the_quota_of_who_has_agreed_on_no_more(acme: Tenant) -> None:
    now = timezone.now()
    Customer.objects.filter(pk=acme.customer.pk).update(offer="tpns")
    assert included(acme.customer) is None
    changing.start(customer=acme.customer, version=subscriptions.version("free"), now=now)
    assert included(acme.customer) == 10_000
    entry = lasting(now - DAY, 300 * DAY, sku_short_name="entry", limits={"push_notifications": 7_500})
    proving.upload(customer=acme.customer, data=entry, now=now)
    assert included(acme.customer) == 7_500
    changing.start(customer=acme.customer, version=subscriptions.version("hpns"), now=now)
    assert included(acme.customer) is None


def test_nobody_is_written_to_twice_about_one_invoice(acme: Tenant) -> None:
    """Of an issued invoice the invoices write, of what is overdue the subscriptions, whoever runs in whatever order."""
    member("ada", acme.customer, Role.OWNER)
    billed(acme.customer, emails=["ADA@acme.example", "books@acme.example"])
    issued_at = timezone.now() - 40 * DAY
    row = changing.start(customer=acme.customer, version=subscriptions.version("hpns"), now=issued_at).row
    draft, *_ = daily.refresh(acme.customer, SOURCES, issued_at)
    issuing.issue(draft, now=issued_at)
    for day in range(45):
        for _ in range(2):
            mails.send_pending(issued_at + day * DAY)
            mailing.send_due(issued_at + day * DAY)
    assert LastStanding.objects.get().subscription == row
    written = [(each.to[0].lower(), each.subject) for each in mail.outbox]
    number = Invoice.objects.get().number
    assert sum(number in subject for _, subject in written) == 2
    reminded = [str(each.body) for each in mail.outbox if "past due" in each.subject]
    assert all(f"Invoice {number}, 593.81 EUR open: how to pay is on https://" in body for body in reminded)
    reminders = [each for each in written if number not in each[1]]
    for address in ("ada@acme.example", "books@acme.example"):
        assert len([to for to, _ in reminders if to == address]) == 3  # 1, 7 and 14 days after its due date
