"""The pages of invoices in a browser: with documents, drafts and money on them, with none, with long names."""

import pytest
from playwright.sync_api import Page, expect
from pytest_django import Settings

from billing.facts import Credit, Month
from billing.invoices import drafting, issuing, ledger, payments
from billing.invoices.document import Line
from tenants.models import Customer
from tests.billing.invoices.making import NOW, SELLER_JSON, at, billed, issued
from tests.browser.conftest import NewPage
from tests.browser.looks import NARROW, WIDE, assert_accessible
from tests.browser.test_every_page import look
from tests.browser.through_client import ORIGIN, answered_by
from tests.browsing import Browser, browser, staff

pytestmark = [pytest.mark.django_db]
LONG = "شركة الإشعارات Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft & Co. KG"


@pytest.fixture
def acme(customer: Customer, settings: Settings) -> Customer:
    settings.SELLER = SELLER_JSON
    billed(customer, name=LONG, reference="PO 4500012345, cost centre 0815")
    ledger.grant(customer, Credit(customer.pk, Month(2026, 10), 10, 4_990, "EUR", "ab" * 32), NOW)
    old = issued(customer, 49_900, now=at(2026, 10, 1))
    payments.record(old, amount_minor=20_000, currency="EUR", reference="bank 1", now=at(2026, 10, 9))
    issuing.credit(issued(customer, 1_234_567), reason="A mistake", now=NOW)
    lines = [Line(f"Position {n}, {LONG}", 100_000 + n) for n in range(3)]
    drafting.make(customer, currency="EUR", lines=lines, now=NOW)
    return customer


def test_invoices_with_much_on_them_and_with_nothing(new_page: NewPage, acme: Customer) -> None:
    page: Page = new_page(viewport=WIDE)
    answered_by(page, browser(acme, "owner"))
    number = "INV-2026-00001"
    look(page, "/c/acme/invoices/", f"/c/acme/invoices/{number}/", "/c/acme/invoices/CN-2026-00001/")
    expect(page.locator("main")).to_contain_text("For invoice INV-2026-00002")
    page.goto(f"{ORIGIN}/c/acme/invoices/{number}/")
    expect(page.get_by_role("heading", name="Pay 334.43 EUR by 31 Oct 2026")).to_be_visible()
    page.emulate_media(color_scheme="dark")
    for window in (WIDE, NARROW):
        page.set_viewport_size(window)
        page.goto(f"{ORIGIN}/c/acme/invoices/{number}/")
        assert_accessible(page, colours_only=True)


def test_staffs_pages_of_invoices(new_page: NewPage, acme: Customer) -> None:
    page: Page = new_page(viewport=WIDE)
    answered_by(page, Browser().enter(staff(), factor=True))
    for address in ("invoicedraft/", "invoice/", "ledgerentry/", "billingprofile/"):
        page.goto(f"{ORIGIN}/admin/billing/{address}")
        expect(page.locator("#result_list")).to_be_visible()
    page.goto(f"{ORIGIN}/admin/billing/invoice/")
    page.get_by_role("link", name="INV-2026-00001").click()
    page.get_by_role("link", name="Enter a payment").click()
    page.get_by_label("Reference").fill("bank 2")
    page.get_by_role("button", name="Show what will happen").click()
    expect(page.locator("#content")).to_contain_text("it is paid.")
    page.get_by_role("button", name="Enter this payment").click()
    expect(page.locator(".messagelist")).to_contain_text("The payment was entered")
