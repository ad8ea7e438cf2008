"""How people meet a broken chain: the customer reads it, staff begin it anew in the admin, a command does the same."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from billing.models import SlaKey, SlaLedger, SlaRenewal
from billing.sla import keys, running
from billing.sla.sources import wired
from tenants.models import AuditEvent, Customer
from tests.billing.sla.renewals import left_out_once
from tests.browsing import Browser, Tenant, browser, tenant
from tests.staff_cast import of_role

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
LIST = "/admin/billing/slaledger/"


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> Tenant:
    """A customer whose chain broke four days ago."""
    found, begin = tenant("Acme"), timezone.now() - timedelta(days=6)
    keys.new(now=begin)
    Customer.objects.filter(pk=found.customer.pk).update(created_at=begin)
    SlaKey.objects.update(made_at=begin)
    left_out_once(monkeypatch, found.customer, (begin + timedelta(days=2)).date())
    running.round_(timezone.now(), wired())
    return found


def act(somebody: Browser, acme: Tenant, **more: str) -> str:
    row = SlaLedger.objects.get(customer=acme.customer)
    asked = {"action": "begin_anew", "_selected_action": row.pk, **more}
    return somebody.post(LIST, asked, follow=True).content.decode()


def test_the_customer_is_told_and_staff_begin_it_anew_after_a_look_at_what_happens(acme: Tenant) -> None:
    viewer = browser(acme.customer, "viewer")
    assert "The chain of your sealed files broke on" in viewer.get("/c/acme/sla/").content.decode()
    sam = of_role("support")
    assert "Broken: no day is sealed until it is begun anew" in sam.get(LIST, {"chain": "broken"}).content.decode()
    assert sam.get(LIST, {"chain": "whole"}).context["cl"].result_count == 0
    asked = act(sam, acme)
    assert "are sealed in its first file. The customer sees all of it, is told by e-mail once" in asked
    assert "this field is required" in act(sam, acme, preview="1").lower()
    refused = act(sam, acme, reason="a minute, <b>", preview="1")
    assert "The reason is 3 to 200 of letters" in refused
    assert "Begin it anew for good" not in refused
    assert "Begin it anew for good" in act(sam, acme, reason="a minute was unreadable", preview="1")
    assert not SlaRenewal.objects.exists()
    assert "the reason is" in act(sam, acme, reason="a, b", confirm="1").lower()
    assert "the chain begins anew with" in act(sam, acme, reason="a minute was unreadable", confirm="1")
    assert SlaRenewal.objects.get().decided_by == AuditEvent.objects.get(action="sla.renew").actor
    assert "Cannot be done: Its chain is whole" in act(sam, acme)
    told = viewer.get("/c/acme/sla/").content.decode()
    assert "The chain of your sealed files broke" not in told
    assert "the chain of your files broke: a minute was unreadable." in told
    row = SlaLedger.objects.get(customer=acme.customer)
    assert "a minute was unreadable" in sam.get(f"{LIST}{row.pk}/change/").content.decode()


def test_finance_sees_ledgers_and_begins_none_anew(acme: Tenant) -> None:
    joe = of_role("finance")
    assert joe.get(LIST).status_code == 200
    act(joe, acme, reason="a minute was unreadable", confirm="1")
    assert not SlaRenewal.objects.exists()


def test_the_command_begins_it_anew(acme: Tenant) -> None:
    out = StringIO()
    call_command("sla", "renew", "--customer", "acme", "--reason", "a minute was unreadable", stdout=out)
    made = SlaRenewal.objects.get()
    assert json.loads(out.getvalue()) == {
        "broke_on": made.broke_on.isoformat(),
        "old_head": made.old_head,
        "begins": made.begins.isoformat(),
    }
    assert made.decided_by.startswith("manage.py sla renew")
