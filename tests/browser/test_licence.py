"""The licence page in a real browser: accessible and no wider than its window, empty, full and on an error."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django import Settings

from billing.licences import proving, vouching
from billing.licences.proving import RefusedError
from tests.billing.licences import making
from tests.billing.licences.making import lasting
from tests.browser.conftest import NewPage
from tests.browser.looks import NARROW, NARROWEST, WIDE, assert_accessible, assert_no_sideways_scroll
from tests.browser.through_client import ORIGIN, answered_by
from tests.browsing import Tenant, browser, tenant
from tests.tenants.two_customers import page_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
YEAR = timedelta(days=365)
LONG = "Ministerium für Infrastruktur und שלום-Beziehungen " * 4


@pytest.fixture
def acme(db: None, tmp_path: Path, settings: Settings) -> Tenant:
    settings.LICENCE_KEYS = making.key_folder(tmp_path / "issuers")
    return tenant("Acme")


def look(page: Page) -> None:
    for window in (WIDE, NARROW, NARROWEST):
        page.set_viewport_size(window)
        assert_no_sideways_scroll(page)
        assert_accessible(page)


def fill(acme: Tenant) -> None:
    """All that the page can have: proofs of each state, a case that waits, one that was decided, and some before."""
    now = timezone.now()
    for since, company, identity in ((-340, "Acme GmbH", "a"), (30, LONG, "b"), (-370, "Acme GmbH", "c")):
        data = lasting(now + timedelta(days=since), YEAR, id=identity * 26, customer={"company": company})
        proving.upload(customer=acme.customer, data=data, now=now, server=acme.server if identity == "a" else None)
    vouching.vouch(customer=acme.customer, sku="E20", users=40, expires_at=now + YEAR, reason=LONG.strip(), now=now)
    entry = lasting(now, YEAR, id="e" * 26, sku_short_name="entry", limits={"push_notifications": 10_000})
    proof = proving.upload(customer=acme.customer, data=entry, now=now).proof
    proving.withdraw(proof=proof, now=now)
    cosmos, theirs = tenant("Cosmos"), lasting(now, YEAR, id="t" * 26)
    proving.upload(customer=cosmos.customer, data=theirs, now=now)
    with page_of(acme):
        try:
            proving.upload(customer=acme.customer, data=theirs, now=now)
        except RefusedError:
            pass


def test_the_page_empty_full_and_on_an_error(new_page: NewPage, acme: Tenant, settings: Settings) -> None:
    page = new_page(viewport=WIDE)
    answered_by(page, browser(acme.customer, "owner"))
    address = f"{ORIGIN}/c/acme/licence/"
    page.goto(address)
    look(page)
    page.get_by_label("Or its text").fill("QUJD")
    page.get_by_role("button", name="Prove licence").click()
    expect(page.get_by_role("alert")).to_contain_text("too short for a licence")
    expect(page.get_by_label("Or its text")).to_have_value("QUJD")
    look(page)
    fill(acme)
    page.goto(address)
    expect(page.locator(".verdict")).to_contain_text("until")
    look(page)
    page.get_by_role("link", name="Withdraw this licence").first.click()
    look(page)
    settings.LICENCE_KEYS = ""
    page.goto(address)
    look(page)


def test_a_licence_is_proven_by_keyboard(new_page: NewPage, acme: Tenant) -> None:
    page = new_page(viewport=WIDE)
    answered_by(page, browser(acme.customer, "owner"))
    page.goto(f"{ORIGIN}/c/acme/licence/")
    page.get_by_label("Or its text").focus()
    page.keyboard.insert_text(lasting(timezone.now(), YEAR).decode())
    page.keyboard.press("Tab")
    expect(page.get_by_role("combobox", name="Server")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".verdict")).to_contain_text("Proven: Professional for 250 users at chat.acme.example")
