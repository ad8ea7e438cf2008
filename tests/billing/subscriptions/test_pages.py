"""The pages of a subscription: how it stands, in words; what may be changed by whom; and the banner of owners."""

from datetime import timedelta

import pytest
from django.utils import timezone

from billing.models import LastStanding, PlanChange, PlanVersion, Subscription
from billing.subscriptions import applying, changing, reading
from tenants.models import AuditEvent
from tests.billing.subscriptions.agreed import DAY, invoice
from tests.billing.subscriptions.conftest import Facts, entitled
from tests.billing.subscriptions.test_applying import begin
from tests.browsing import Browser, Tenant, browser, staff

pytestmark = pytest.mark.django_db
PAGE = "/c/acme/subscription/"


def text(visitor: Browser, address: str = PAGE) -> str:
    answer = visitor.get(address)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_without_a_subscription_the_page_says_so(owner: Browser) -> None:
    assert "No subscription is recorded" in text(owner)


def test_the_price_is_shown_to_those_who_may_read_bills_and_changes_to_owners_alone(
    acme: Tenant, owner: Browser, facts: Facts
) -> None:
    begin(acme, "hpns", facts, timezone.now())
    of_owner = text(owner)
    assert "499.00 EUR a month" in of_owner
    assert "Cancel the subscription" in of_owner
    assert "See what EAS comes to" in of_owner
    assert "1,000 active devices a month." in of_owner
    PlanVersion.objects.filter(plan__code="eas").update(included_devices=None)
    assert "Active devices without a bound." in text(owner)
    of_admin, of_viewer = (text(browser(acme.customer, role)) for role in ("admin", "viewer"))
    assert "499.00 EUR" in of_admin
    assert "EUR" not in of_viewer
    for page in (of_admin, of_viewer):
        assert "Pushes are served, and nothing is overdue." in page
        assert "Cancel the subscription" not in page
        assert "comes to" not in page
    assert "499.00 EUR" not in text(Browser().enter(staff(), factor=True))  # staff look on as viewers


def test_an_owner_sees_what_a_change_comes_to_and_makes_it_for_just_that(
    acme: Tenant, owner: Browser, facts: Facts
) -> None:
    now = timezone.now()
    begin(acme, "hpns", facts, now - 10 * DAY)
    page = text(owner, f"{PAGE}change/?plan=eas")
    found = reading.current(acme.customer, now)
    assert found is not None
    amount = str(owner.get(f"{PAGE}change/?plan=eas").context["quote"]["amount_minor"])
    assert "is to be paid, without tax" in page
    moved = owner.post(f"{PAGE}change/", {"plan": "eas", "amount": "1"})
    assert moved.status_code == 200
    assert not PlanChange.objects.exists()
    assert owner.post(f"{PAGE}change/", {"plan": "eas", "amount": amount}).status_code == 302
    assert str(PlanChange.objects.get().amount_minor) == amount
    noted = AuditEvent.objects.get(action="subscription.change")
    assert (noted.actor_kind, noted.actor) == ("member", "owner@acme.example")
    applying.run(timezone.now())  # the timetable gives the plan's offer
    acme.customer.refresh_from_db()
    assert acme.customer.offer == "eas"


@pytest.mark.parametrize("plan", ["e1", "trial", "x", "hpns", ""])
def test_a_plan_that_cannot_be_chosen_leads_back_and_changes_nothing(
    acme: Tenant, owner: Browser, facts: Facts, plan: str
) -> None:
    begin(acme, "hpns", facts, timezone.now())
    for answer in (
        owner.get(f"{PAGE}change/", {"plan": plan}),
        owner.post(f"{PAGE}change/", {"plan": plan, "amount": "0"}),
    ):
        assert (answer.status_code, answer["Location"]) == (302, PAGE)
    assert Subscription.objects.get().version.plan.code == "hpns"


def test_who_was_on_trial_begins_with_a_plan_by_themselves(acme: Tenant, owner: Browser, facts: Facts) -> None:
    begin(acme, "trial", facts, timezone.now() - 40 * DAY)
    applying.run(timezone.now())
    assert entitled(acme.customer) == ("subscription_unpaid", False)
    assert "Choose a plan" in text(owner)
    assert owner.post(f"{PAGE}change/", {"plan": "hpns", "amount": "49900"}).status_code == 302
    assert entitled(acme.customer) == ("", True)


def test_an_owner_cancels_with_a_day_and_takes_it_back(acme: Tenant, owner: Browser, facts: Facts) -> None:
    now = timezone.now()
    row = begin(acme, "hpns", facts, now - 3 * DAY)
    end = reading.period_of(row, now).end
    last = (end - timedelta(microseconds=1)).date()
    assert f'value="{last.isoformat()}"' in text(owner, f"{PAGE}cancel/")
    for wrong in ({"on": last.isoformat(), "typed": "cosmos"}, {"on": "2020-01-01", "typed": "acme"}, {}):
        answer = owner.post(f"{PAGE}cancel/", wrong)
        assert answer.status_code == 200
    assert Subscription.objects.get().cancel_at is None
    assert owner.post(f"{PAGE}cancel/", {"on": last.isoformat(), "typed": "acme"}).status_code == 302
    assert Subscription.objects.get().cancel_at == end
    assert "It was cancelled and ends with" in text(owner)
    assert owner.post(f"{PAGE}keep/").status_code == 302
    assert Subscription.objects.get().cancel_at is None
    assert owner.post(f"{PAGE}keep/").status_code == 302


def test_what_is_paid_beside_a_licence_is_named_with_its_price_and_cancelled_by_itself(
    acme: Tenant, owner: Browser, facts: Facts
) -> None:
    now = timezone.now()
    paid = begin(acme, "hpns", facts, now - 3 * DAY)
    assert "is billed beside it" not in text(owner)
    included = begin(acme, "e1", facts, now - DAY)
    changing.override(subscription=included, until=now + 9 * DAY, reason="Its licence comes.", now=now)
    page = text(owner)
    assert "HPNS stand-alone is billed beside it, until it is cancelled" in page
    assert "499.00 EUR a month" in page
    assert "499.00 EUR" not in text(browser(acme.customer, "viewer"))
    address = f"{PAGE}cancel/?subscription={paid.pk}"
    assert address in page
    asked = text(owner, address)
    assert "Pushes go on after that day: E1 included stays." in asked
    assert "pushes are refused" not in asked
    last = (now + 40 * DAY).date().isoformat()
    assert owner.post(address, {"on": last, "typed": "acme"}).status_code == 302
    cancelled = {row.pk: row.cancel_at is not None for row in Subscription.objects.all()}
    assert cancelled == {paid.pk: True, included.pk: False}
    page = text(owner)
    assert "is billed beside it" not in page
    assert "Take the cancellation of HPNS stand-alone back" in page
    assert owner.post(f"{PAGE}keep/", {"subscription": str(paid.pk)}).status_code == 302
    assert not Subscription.objects.exclude(cancel_at=None).exists()


@pytest.mark.parametrize("number", ["0", "x", "9" * 30])
def test_nobody_cancels_a_subscription_that_is_not_the_customers(
    acme: Tenant, owner: Browser, facts: Facts, number: str
) -> None:
    now = timezone.now()
    row = begin(acme, "hpns", facts, now)
    last = (now + 9 * DAY).date().isoformat()
    answer = owner.post(f"{PAGE}cancel/?subscription={number}", {"on": last, "typed": "acme"})
    assert answer.headers["Location"] == PAGE
    assert Subscription.objects.get().cancel_at is None
    changing.cancel(subscription=row, at=now + 9 * DAY, now=now)
    assert owner.post(f"{PAGE}keep/", {"subscription": number}).status_code == 302
    assert Subscription.objects.get().cancel_at == now + 9 * DAY


def test_owners_alone_see_on_every_page_that_something_is_owed(acme: Tenant, owner: Browser, facts: Facts) -> None:
    now = timezone.now()
    row = begin(acme, "hpns", facts, now - 60 * DAY)
    other = browser(acme.customer, "admin")
    assert 'class="owed' not in text(owner, "/c/acme/servers/")
    facts.invoices.append(invoice(now - DAY, row.pk))
    applying.apply(acme.customer, now, facts.sources)
    for address in ("/c/acme/", "/c/acme/servers/", "/c/acme/settings/", "/c/acme/audit/"):
        shown = text(owner, address)
        assert 'class="owed warn"' in shown
        assert "is not paid" in shown
        assert 'class="owed' not in text(other, address)
    LastStanding.objects.update(state="active")  # paid
    assert 'class="owed' not in text(owner, "/c/acme/servers/")


def test_a_restricted_customer_is_told_so_where_it_adds_a_server(acme: Tenant, owner: Browser, facts: Facts) -> None:
    now = timezone.now()
    row = begin(acme, "hpns", facts, now - 60 * DAY)
    facts.invoices.append(invoice(now - 31 * DAY, row.pk))
    applying.apply(acme.customer, now, facts.sources)
    answer = owner.post("/c/acme/servers/", {"name": "another"})
    assert "No servers can be added while the subscription is past due" in answer.content.decode()


def test_the_page_names_who_has_it_served_and_until_when(acme: Tenant, owner: Browser, facts: Facts) -> None:
    now = timezone.now()
    row = begin(acme, "trial", facts, now - 40 * DAY)
    changing.override(subscription=row, until=now + 5 * DAY, reason="The order is on its way", now=now)
    shown = text(owner)
    assert "The order is on its way" in shown
    assert "by an agreement with the operator" in shown
