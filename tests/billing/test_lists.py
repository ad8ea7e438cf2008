"""Commands that staff find work by, on a day on which everything needs somebody; and plans, added by command."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError
from django.utils import timezone

from billing.licences.states import STATES
from billing.models import Invoice, LicenceProof, PlanVersion, Subscription
from billing.subscriptions.needing import NEEDS, needing
from tenants.models import AuditEvent
from tests.billing.subscriptions.agreed import seed
from tests.browsing import tenant
from tests.hpns.staff.a_day import DAY, busy
from tests.tenants.management.test_commands import run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


@pytest.fixture
def now(db: None) -> datetime:
    moment = timezone.now()
    busy(tenant("Acme"), moment)
    return moment


def test_subscriptions_are_listed_by_what_they_need(now: datetime) -> None:
    everything = run("subscription", "list")
    assert len(everything) == Subscription.objects.count() == 4
    for need in NEEDS:
        wanted = set(needing(Subscription.objects.all(), need, now).values_list("pk", flat=True))
        assert {row["id"] for row in run("subscription", "list", "--needs", need)} == wanted, need
    assert len(run("subscription", "list", "--needs", "trial")) == 1
    assert len(run("subscription", "list", "--needs", "past_due")) == 2
    assert len(run("subscription", "list", "--needs", "stopped")) == 1
    assert run("subscription", "list", "--needs", "trial", "--customer", "other") == []
    with pytest.raises(CommandError, match="invalid choice: 'nonsense'"):
        run("subscription", "list", "--needs", "nonsense")


def test_licences_are_listed_by_where_in_their_lives_they_are(now: datetime) -> None:
    terms: dict[str, Any] = {"sku": "professional", "users": 1, "issuer": "i", "digest": "d"}
    acme = LicenceProof.objects.select_related("customer").earliest("pk").customer
    later = {"starts_at": now + DAY, "expires_at": now + 9 * DAY}
    LicenceProof.objects.create(customer=acme, licence_id="l" * 26, **later, **terms)
    over = {"starts_at": now - 9 * DAY, "expires_at": now + 9 * DAY, "ended_at": now, "end_reason": "withdrawn"}
    LicenceProof.objects.create(customer=acme, licence_id="e" * 26, **over, **terms)
    found = {state: [row["licence_id"][0] for row in run("licence", "list", "--state", state)] for state in STATES}
    # The expired one still counts: it is within its grace.
    assert {state: sorted(ids) for state, ids in found.items()} == {
        "counts": ["l", "o"],
        "expiring": ["l"],
        "later": ["l"],
        "expired": ["o"],
        "ended": ["e"],
    }
    assert len(run("licence", "list")) == 3
    assert len(run("licence", "list", "--ended")) == 4


def test_invoices_are_listed_by_what_is_overdue(now: datetime) -> None:
    (late,) = Invoice.objects.all()
    values = {name: getattr(late, name) for name in ("kind", "series", "year", "customer_id", "customer_name")}
    values |= {name: getattr(late, name) for name in ("currency", "net_minor", "tax_minor", "gross_minor", "document")}
    due = (now + timedelta(days=9)).date()
    Invoice.objects.create(number="INV-2026-00002", sequence=2, issued_at=now, due_on=due, **values)
    assert {row["number"]: row["state"] for row in run("invoice", "list")} == {
        late.number: "overdue",
        "INV-2026-00002": "open",
    }
    assert [row["number"] for row in run("invoice", "list", "--overdue")] == [late.number]
    assert len(run("invoice", "list", "--open")) == 2
    assert run("invoice", "list", "--overdue", "--customer", "other") == []


# --- Plans

ADD = ("plan", "add", "--code", "gold", "--name", "Gold", "--basis", "paid", "--offer", "hpns")
VERSION = ("plan", "version", "--code", "gold")


def test_a_plan_and_its_versions_are_added_by_command(db: None) -> None:
    assert run(*ADD)["changed"] is True
    assert run(*ADD)["changed"] is False
    assert [row["version"] for row in run("plan", "list") if row["plan"] == "gold"] == [0]
    first = run(*VERSION, "--price", "99.50", "--sla", "yes", "--included-devices", "500", "--yes")
    assert (first["version"], first["changed"], first["kept_by"]) == (1, True, 0)
    made = PlanVersion.objects.get(plan__code="gold")
    assert (made.price_minor, made.currency, made.sla, made.included_devices) == (9_950, "EUR", True, 500)
    listed = {row["plan"]: row for row in run("plan", "list")}
    assert listed["gold"] == {row["plan"]: row for row in run("subscription", "plans")}["gold"]
    assert {event.action for event in AuditEvent.objects.filter(action__startswith="plan.")} == {
        *("plan.add", "plan.version"),
    }


def test_a_version_is_shown_with_what_differs_before_it_is_added(db: None) -> None:
    run(*ADD)
    run(*VERSION, "--price", "10", "--included-devices", "500", "--yes")
    asked = (*VERSION, "--price", "20", "--included-devices", "0", "--period-months", "12")
    shown = run(*asked)
    assert shown["differs"] == {
        "price_minor": [1_000, 2_000],
        "period_months": [1, 12],
        "included_devices": [500, None],
    }
    assert (shown["version"], shown["changed"], PlanVersion.objects.filter(plan__code="gold").count()) == (2, False, 1)
    assert run(*asked, "--yes")["changed"] is True
    again = run(*asked, "--yes")
    assert (again["version"], again["differs"], again["changed"]) == (2, {}, False)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((*VERSION, "--price", "1"), "there is no plan 'gold'"),
        (("plan", "version", "--code", "hpns", "--price", "1.234"), "at most two decimals"),
        (("plan", "version", "--code", "hpns", "--price", "-1"), "price minor: "),
        (("plan", "version", "--code", "hpns", "--price", "99999999999"), "must be a number"),
        (("plan", "version", "--code", "hpns", "--period-months", "2"), "period months: "),
        (("plan", "version", "--code", "hpns", "--restricted-after", "50"), "restricted comes before suspended"),
        (("plan", "version", "--code", "hpns", "--trial-days", "-1"), "trial days: "),
        (("plan", "add", "--code", "no good", *ADD[4:]), "code: "),
        (("plan", "add", "--code", "hpns", *ADD[4:]), "there is a plan hpns already"),
        (("plan", "add", "--code", "gold", "--name", " ", *ADD[6:]), "name: "),
    ],
)
def test_what_is_no_plan_or_version_is_said_and_adds_none(db: None, words: tuple[str, ...], why: str) -> None:
    seed()
    before = PlanVersion.objects.count()
    with pytest.raises(CommandError, match=why):
        run(*words, *(("--yes",) if words[1] == "version" else ()))
    assert PlanVersion.objects.count() == before
