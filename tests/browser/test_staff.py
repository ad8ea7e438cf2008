"""The staff's first page and search in a browser: on a busy day, on a calm one, and for whoever has no role."""

import os

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from tests.browser.conftest import NewPage
from tests.browser.looks import NARROW, WIDE, assert_accessible, assert_no_sideways_scroll
from tests.browser.through_client import ORIGIN, answered_by
from tests.browsing import tenant
from tests.hpns.staff.a_day import busy
from tests.staff_cast import NONE, of_role

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]


def test_the_first_page_and_the_search_of_the_staff(new_page: NewPage) -> None:
    busy(tenant("Acme"), timezone.now())
    page = new_page(viewport=WIDE)
    answered_by(page, of_role("admin"))
    for address in ("/admin/", "/admin/find/?q=acme", "/admin/find/?q=nothing"):
        page.goto(ORIGIN + address)
        for window in (WIDE, NARROW):
            page.set_viewport_size(window)
            assert_no_sideways_scroll(page)
            assert_accessible(page)
            if os.environ.get("SHOTS"):
                name = address.strip("/").replace("/", "-").replace("?", "-")
                page.screenshot(path=f"{os.environ['SHOTS']}/{name}-{window['width']}.png", full_page=True)
    page.goto(f"{ORIGIN}/admin/")
    page.emulate_media(color_scheme="dark")
    assert_accessible(page, colours_only=True)
    page.get_by_label("Find a customer").fill("leaving")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_label("Name:")).to_have_value("Leaving")
    page.goto(f"{ORIGIN}/admin/")
    page.get_by_role("link", name="1 invoice is overdue").click()
    expect(page.locator("#result_list")).to_contain_text("INV-2026-00001")


def test_the_first_page_on_a_calm_day_and_without_a_role(new_page: NewPage) -> None:
    for role, text in (("support", "Nothing needs anybody."), (NONE, "You have no role among the staff yet")):
        page = new_page(viewport=NARROW)
        answered_by(page, of_role(role))
        page.goto(f"{ORIGIN}/admin/")
        expect(page.locator("#content")).to_contain_text(text)
        assert_accessible(page)
        if os.environ.get("SHOTS"):
            page.screenshot(path=f"{os.environ['SHOTS']}/calm-{role}.png", full_page=True)
