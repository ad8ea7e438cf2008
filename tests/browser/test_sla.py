"""The SLA's pages in a real browser: accessible, light and dark, wide and narrow, by keyboard."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from billing.models import SlaBreakMail, SlaRenewal
from billing.sla import sources as wiring
from billing.sla.sources import Price
from tests.billing.sla.facts import sources
from tests.billing.sla.test_pages import IDS, last_month, logged, measured
from tests.browser.conftest import NewPage
from tests.browser.looks import NARROW, NARROWEST, WIDE, assert_accessible, assert_no_sideways_scroll
from tests.browser.through_client import ORIGIN, answered_by
from tests.browsing import Browser, Tenant, browser, staff, tenant

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
# For whoever wants to look at them: SHOTS=/some/folder bin/test tests/browser/test_sla.py
SHOTS = os.environ.get("SHOTS", "")


@pytest.fixture
def acme() -> Iterator[Tenant]:
    before = wiring.wired()
    wiring.wire(sources(canary={}, price=Price(49_900, "EUR")))
    found = measured(tenant("Acme"))
    logged(found)
    yield found
    wiring.wire(before)


def look(page: Page, name: str) -> None:
    """Look at the page as it is: both colours, all widths."""
    for size, window in (("1280", WIDE), ("390", NARROW), ("320", NARROWEST)):
        page.set_viewport_size(window)
        assert_no_sideways_scroll(page)
        for colours in ("light", "dark") if size != "320" else ():
            page.emulate_media(color_scheme=colours)
            assert_accessible(page, colours_only=colours == "dark")
            if SHOTS:
                page.screenshot(path=str(Path(SHOTS) / f"{name}-{size}-{colours}.png"), full_page=True)


def test_a_customers_sla_and_reconciliation(new_page: NewPage, acme: Tenant) -> None:
    page = new_page(viewport=WIDE)
    answered_by(page, browser(acme.customer, "owner"))
    page.goto(f"{ORIGIN}/c/acme/sla/")
    expect(page.locator("h1")).to_contain_text(f"{timezone.now():%B}")
    look(page, "sla-now")
    page.goto(f"{ORIGIN}/c/acme/sla/?month={last_month().first:%Y-%m}")
    look(page, "sla-past")
    page.goto(f"{ORIGIN}/c/acme/sla/reconcile/")
    look(page, "reconcile-empty")
    page.get_by_role("button", name="Reconcile").click()
    expect(page.locator("main")).to_contain_text("No ack_id was found")
    look(page, "reconcile-wrong")
    page.get_by_label("ack_ids or log lines").fill("\n".join(IDS.values()))
    page.get_by_role("button", name="Reconcile").press("Enter")
    expect(page.locator("main")).to_contain_text("3 of 4 ack_ids are known")
    look(page, "reconcile-found")
    begins = timezone.now().date()
    SlaRenewal.objects.create(
        customer=acme.customer,
        broke_on=begins - timedelta(days=2),
        old_head="ab" * 32,
        begins=begins,
        decided_at=timezone.now(),
        decided_by="somebody.with.a.long.name@operator.example",
        reason="the file of the day before could not be made",
    )
    page.goto(f"{ORIGIN}/c/acme/sla/")
    expect(page.locator("main")).to_contain_text("You are told by e-mail when it is sealed.")
    look(page, "sla-begun-anew")
    SlaBreakMail.objects.create(customer=acme.customer, kind="broken", day=begins, found_at=timezone.now())
    page.goto(f"{ORIGIN}/c/acme/sla/")
    expect(page.locator("main")).to_contain_text("You need to do nothing")
    look(page, "sla-broken")


def test_the_staffs_board_and_a_customer_without_a_ledger(new_page: NewPage, acme: Tenant) -> None:
    page = new_page(viewport=WIDE)
    cosmos = tenant("Cosmos")
    answered_by(page, browser(cosmos.customer, "viewer"))
    page.goto(f"{ORIGIN}/c/cosmos/sla/")
    look(page, "sla-none")
    answered_by(page, Browser().enter(staff(), factor=True))
    page.goto(f"{ORIGIN}/admin/boards/sla/")
    look(page, "board")
