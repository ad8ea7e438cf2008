"""What staff do with subscriptions: in the admin with a preview, and by the command; and who of them may."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from billing.models import Override, PlanVersion, Subscription
from billing.subscriptions import applying, changing, reading
from tenants.models import AuditEvent
from tests.billing.subscriptions.agreed import DAY, invoice, proof
from tests.billing.subscriptions.conftest import Facts, entitled
from tests.billing.subscriptions.test_applying import begin
from tests.browsing import Browser, Tenant, staff

pytestmark = pytest.mark.django_db
LIST = "/admin/billing/subscription/"


@pytest.fixture
def somebody(acme: Tenant) -> Browser:
    """Somebody of the staff."""
    return Browser().enter(staff(), factor=True)


def command(*args: str) -> Any:
    """What `manage.py subscription` prints."""
    out = StringIO()
    call_command("subscription", *args, stdout=out)
    return json.loads(out.getvalue())


def test_staff_start_a_subscription_and_are_told_what_is_wrong(acme: Tenant, somebody: Browser) -> None:
    plan = reading.version("trial").plan
    form = {"customer": acme.customer.pk, "plan": plan.pk, "starts_on": "", "trial_days": "14"}
    assert somebody.post(f"{LIST}add/", form).status_code == 302
    row = Subscription.objects.get()
    assert row.trial_ends_at == row.starts_at + 14 * DAY
    assert (AuditEvent.objects.get(action="subscription.start").actor_kind) == "staff"
    again = somebody.post(f"{LIST}add/", form)
    assert "has the plan Trial (version 1)" not in again.content.decode()
    assert "at that time already" in again.content.decode()
    assert somebody.get(f"{LIST}{row.pk}/change/").status_code == 200


def test_an_override_is_shown_with_what_follows_before_it_is_made(
    acme: Tenant, somebody: Browser, facts: Facts
) -> None:
    now = timezone.now()
    row = begin(acme, "trial", facts, now - 40 * DAY)
    applying.run(now)
    until = (now + 14 * DAY).date().isoformat()
    asked = {"action": "serve_until", "_selected_action": row.pk}
    assert "Show what will happen" in somebody.post(LIST, asked).content.decode()
    shown = somebody.post(LIST, {**asked, "until": until, "reason": "Order signed", "preview": "1"}).content.decode()
    assert "The trial ended with" in shown
    assert "by an agreement with the operator" in shown
    assert not Override.objects.exists()
    assert entitled(acme.customer) == ("subscription_unpaid", False)
    made = somebody.post(LIST, {**asked, "until": until, "reason": "Order signed", "confirm": "1"}, follow=True)
    assert [str(m) for m in made.context["messages"]] == ["1 of 1 subscriptions were changed."], made.redirect_chain
    assert entitled(acme.customer) == ("", True)
    assert Override.objects.get().actor == "staff@example.com"
    assert "Cannot be done" in somebody.post(
        LIST, {**asked, "until": "2020-01-01", "reason": "x", "preview": "1"}
    ).content.decode()  # fmt: skip
    for action in ("serve_no_longer", "keep", "cancel"):
        assert somebody.post(LIST, {"action": action, "_selected_action": row.pk}).status_code == 200


def test_a_change_of_plan_by_staff_says_what_it_comes_to_before(acme: Tenant, somebody: Browser, facts: Facts) -> None:
    now = timezone.now()
    row = begin(acme, "hpns", facts, now - 10 * DAY)
    old = begin(acme, "e1", facts, now - 10 * DAY)
    asked = {"action": "change_plan", "plan": reading.version("eas").plan.pk, "preview": "1"}
    shown = somebody.post(LIST, {**asked, "_selected_action": [row.pk, old.pk]}).content.decode()
    assert "EUR without tax for what is left of the period. EAS (version 1), active." in shown
    assert "Cannot be done: Another subscription of this customer counts" in shown
    row.refresh_from_db()
    assert row.version.plan.code == "hpns"


def test_the_list_finds_what_needs_somebody(acme: Tenant, somebody: Browser, facts: Facts) -> None:
    now = timezone.now()
    trial = begin(acme, "trial", facts, now - 20 * DAY)
    paid = begin(acme, "hpns", facts, now - 60 * DAY)
    licence = begin(acme, "e1", facts, now - 60 * DAY)
    eas = begin(acme, "eas", facts, now - 60 * DAY)
    facts.invoices.append(invoice(now - DAY, paid.pk))
    facts.proofs.append(proof(now - 61 * DAY, now + 30 * DAY, acme.customer.pk))
    changing.cancel(subscription=eas, at=now + DAY, now=now, sources=facts.sources)
    changing.override(subscription=eas, until=now + DAY, reason="x", now=now, sources=facts.sources)
    applying.apply(acme.customer, now, facts.sources)
    found = {"trial": trial, "past_due": paid, "licence": licence, "cancelled": eas, "served": eas}
    for needs, row in found.items():
        shown = somebody.get(LIST, {"needs": needs}).context["cl"].queryset
        assert list(shown) == [row], needs
    assert list(somebody.get(LIST, {"needs": "stopped"}).context["cl"].queryset) == []
    assert somebody.get(LIST, {"q": "acme"}).context["cl"].result_count == 4


def test_a_price_is_changed_by_another_version(somebody: Browser) -> None:
    plan = reading.version("hpns").plan
    row = PlanVersion.objects.get(plan=plan)
    form = {name: getattr(row, name) for name in ("currency", "period_months", "included_devices", "trial_days")}
    days = {name: getattr(row, name) for name in ("payment_days", "restricted_after", "suspended_after", "ended_after")}
    form |= {"plan": plan.pk, "price_minor": 59_900, "device_price_minor": 50, "sla": "on", **days}
    assert somebody.post("/admin/billing/planversion/add/", form).status_code == 302
    assert (reading.version("hpns").version, reading.version("hpns").price_minor) == (2, 59_900)
    wrong = somebody.post("/admin/billing/planversion/add/", {**form, "restricted_after": "60"})
    assert "Restricted comes before suspended" in wrong.content.decode()
    assert somebody.get(f"/admin/billing/plan/{plan.pk}/change/").status_code == 200
    assert somebody.post(f"/admin/billing/planversion/{row.pk}/change/", form).status_code == 403


def test_the_command_does_all_of_it_and_prints_json(acme: Tenant) -> None:
    who = ("--customer", "acme")
    assert {row["plan"] for row in command("plans")} >= {"e1", "hpns", "eas", "trial", "free"}
    assert command("list") == []
    assert command("standing", *who) == {"customer": "acme", "subscription": None}
    started = command("start", *who, "--plan", "trial")
    assert (started["state"], [each["state"] for each in started["ahead"]]) == ("trial", ["suspended", "ended"])
    assert command("change", *who, "--plan", "hpns")["amount_minor"] == 0
    assert command("change", *who, "--plan", "hpns", "--yes")["basis"] == "paid"
    day = (timezone.now() + 90 * DAY).date().isoformat()
    assert command("cancel", *who, "--on", day)["cancel_at"] is not None
    assert command("keep", *who)["cancel_at"] is None
    assert command("override", *who, "--until", day, "--reason", "x")["override_until"] is not None
    assert command("override-end", *who)["override_until"] is None
    assert command("standing", *who, "--at", "2099-01-01")["subscription"]["state"] == "active"
    assert command("apply") == {"applied": 0}
    assert AuditEvent.objects.get(action="subscription.keep").actor.startswith("manage.py subscription keep")
    for wrong in (
        ("start", *who, "--plan", "x"),
        ("standing", *who, "--at", "tomorrow"),
        ("cancel", *who, "--on", "2020-01-01"),
        ("keep", *who, "--id", "0"),
        ("standing", "--customer", "x"),
    ):
        with pytest.raises(CommandError):
            command(*wrong)
