"""The pages of a subscription and the staff's lists of them, in each state that needs somebody."""

import os

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from billing.subscriptions import applying, changing
from billing.subscriptions.sources import SOURCES
from tests.billing.subscriptions.agreed import DAY, invoice, seed
from tests.billing.subscriptions.conftest import Facts
from tests.billing.subscriptions.test_applying import begin
from tests.browser.conftest import NewPage
from tests.browser.looks import NARROW, NARROWEST, WIDE, assert_accessible, assert_no_sideways_scroll
from tests.browser.through_client import ORIGIN, answered_by
from tests.browsing import Browser, Tenant, member, staff, tenant

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
PAGE = "/c/acme/subscription/"
# For whoever wants to look at them: SHOTS=/some/folder bin/test tests/browser/test_subscription.py
SHOTS = os.environ.get("SHOTS", "")


def looked_at(page: Page, address: str, name: str = "") -> None:
    """Accessible light and dark, wide and narrow, and never wider than the window. name: of a picture, if any."""
    answer = page.goto(ORIGIN + address)
    assert answer is not None
    assert answer.ok
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for window in (WIDE, NARROW):
            page.set_viewport_size(window)  # type: ignore[arg-type]
            assert_accessible(page, colours_only=scheme == "dark")
            assert_no_sideways_scroll(page)
            if SHOTS and name:
                page.screenshot(path=f"{SHOTS}/{name}-{window['width']}-{scheme}.png", full_page=True)
    page.set_viewport_size(NARROWEST)  # type: ignore[arg-type]
    assert_no_sideways_scroll(page)


@pytest.fixture
def acme(db: None) -> Tenant:
    seed()
    made = tenant("Acme")
    member("ada", made.customer, "owner")  # type: ignore[arg-type]
    return made


def test_the_pages_of_a_subscription_in_each_state(new_page: NewPage, acme: Tenant) -> None:
    page, facts, now = new_page(viewport=WIDE), Facts([], [], []), timezone.now()
    answered_by(page, Browser().enter(acme.customer.memberships.get().user))
    looked_at(page, PAGE)
    row = begin(acme, "hpns", facts, now - 50 * DAY)
    for address in (f"{PAGE}cancel/", f"{PAGE}change/?plan=eas"):
        looked_at(page, address)
    changing.cancel(subscription=row, at=now + 30 * DAY, now=now)
    looked_at(page, PAGE)
    changing.keep(subscription=row, now=now)
    included = begin(acme, "e1", facts, now - DAY)
    changing.override(subscription=included, until=now + 9 * DAY, reason="Its licence comes.", now=now)
    looked_at(page, PAGE, "beside")
    looked_at(page, f"{PAGE}cancel/?subscription={row.pk}", "cancel-beside")
    changing.cancel(subscription=included, at=now, now=now)
    facts.invoices.append(invoice(now - 2 * DAY, row.pk))
    applying.apply(acme.customer, now, facts.sources)
    looked_at(page, "/c/acme/settings/")  # with the banner
    changing.cancel(subscription=row, at=now, now=now, sources=SOURCES)
    begin(acme, "trial", facts, now - 31 * DAY)
    looked_at(page, PAGE)


def test_the_staffs_lists_and_previews(new_page: NewPage, acme: Tenant) -> None:
    page, facts, now = new_page(viewport=WIDE), Facts([], [], []), timezone.now()
    begin(acme, "trial", facts, now - 20 * DAY)
    answered_by(page, Browser().enter(staff(), factor=True))
    page.goto(f"{ORIGIN}/admin/billing/subscription/")
    page.get_by_label("Select this object for an action").check()
    page.locator("select[name=action]").select_option("serve_until")
    page.locator("button[name=index]").click()
    page.get_by_label("Last day").fill((now + 10 * DAY).date().isoformat())
    page.get_by_label("Reason").fill("Order signed")
    page.get_by_role("button", name="Show what will happen").click()
    expect(page.locator("#content")).to_contain_text("The trial runs until")
    page.get_by_role("button", name="Do it").click()
    expect(page.locator("body")).to_contain_text("1 of 1 subscriptions were changed.")
