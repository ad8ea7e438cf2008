"""The jobs of the delivery page in a real browser: seeing what is wrong, following a number, and watching it live."""

import re

import pytest
from playwright.sync_api import Page, expect

from tenants.models import Role
from tests.browser.conftest import NewPage
from tests.browser.looks import NARROW, NARROWEST, WIDE, Traffic, assert_accessible, assert_no_sideways_scroll
from tests.browser.looks import layout_shift as shifted
from tests.browser.through_client import ORIGIN, answered_by
from tests.browsing import Browser, Tenant, member, tenant
from tests.delivery.pages.busy import IPHONE, KEY_REFUSED, Pushes, busy
from tests.delivery.rollups.pushes import SENT

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
PAGE = f"{ORIGIN}/c/acme/delivery/"


@pytest.fixture
def acme(db: None) -> Tenant:
    return tenant("Acme")


@pytest.fixture
def ada(acme: Tenant) -> Browser:
    return Browser().enter(member("ada", acme.customer, Role.OWNER))


@pytest.fixture
def page(new_page: NewPage, ada: Browser) -> Page:
    page = new_page(viewport=WIDE, timezone_id="Asia/Kolkata")
    answered_by(page, ada)
    return page


def looked_at(page: Page, address: str = "") -> None:
    """Accessible light and dark, wide and narrow, and never wider than the window."""
    page.goto(PAGE + address)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for window in (WIDE, NARROW):
            page.set_viewport_size(window)  # type: ignore[arg-type]
            assert_accessible(page, colours_only=scheme == "dark")
            assert_no_sideways_scroll(page)
    page.set_viewport_size(NARROWEST)  # type: ignore[arg-type]
    assert_no_sideways_scroll(page)
    page.set_viewport_size(WIDE)  # type: ignore[arg-type]


def test_who_looks_sees_what_is_wrong_and_comes_to_the_pushes_with_one_press(page: Page, acme: Tenant) -> None:
    busy(acme)
    traffic = Traffic(page)
    looked_at(page)
    assert {url.split("/")[2] for url in traffic.urls if not url.startswith("data:")} == {"localhost"}
    page.reload()
    assert shifted(page) < 0.01
    verdict = page.locator(".verdict")
    expect(verdict).to_contain_text("14 failed, 12 of them because Apple refused the signing token")
    expect(verdict).to_contain_text("It is yours to mend")
    expect(page.locator("canvas")).to_have_count(3)
    page.get_by_role("link", name="14 failed").first.click()
    expect(page).to_have_url(re.compile(r"/delivery/pushes/\?range=24h&outcome=failures"))


def test_an_empty_page_and_one_with_bad_filters_are_as_good_to_look_at(page: Page) -> None:
    looked_at(page)
    looked_at(page, "?from=2027-01-01T00:00&to=2026-01-01T00:00&family=apns&code=%3Cx")


def test_filters_are_set_by_the_form_in_the_viewers_zone_and_dropped_by_one_press(
    page: Page, ada: Browser, acme: Tenant
) -> None:
    made = Pushes(acme)
    made.write(5, SENT, **IPHONE)
    made.count()
    page.goto(PAGE)
    name, _, zone = page.evaluate("document.cookie").partition("=")
    assert (name, zone) == ("tz", page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone"))
    ada.cookies[name] = zone
    page.reload()
    page.get_by_text("Own range and filters").click()
    expect(page.get_by_text(f"Times in {zone}")).to_be_visible()
    page.get_by_label("Platform", exact=True).select_option("fcm")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator(".verdict")).to_contain_text("No push came in the last 24 hours.")
    page.get_by_role("link", name="Remove the filter Platform").click()
    expect(page.locator(".verdict")).to_contain_text("The only push was handed off")
    page.get_by_text("Own range and filters").click()
    page.get_by_label("From", exact=True).fill("2026-09-21T14:00")
    page.get_by_label("To", exact=True).fill("2026-09-21T15:00")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator(".verdict")).to_contain_text("from 21 Sep 2026, 14:00 to 21 Sep 2026, 15:00")
    expect(page.get_by_label("From", exact=True)).to_have_value("2026-09-21T14:00")


def test_it_works_without_script(new_page: NewPage, acme: Tenant) -> None:
    made = Pushes(acme)
    made.write(5, KEY_REFUSED, **IPHONE)
    made.count()
    page = new_page(viewport=WIDE, java_script_enabled=False)
    answered_by(page, Browser().enter(member("ben", acme.customer, Role.VIEWER)))
    page.goto(PAGE)
    expect(page.locator(".verdict")).to_contain_text("The only push in the last 24 hours failed because Apple")
    expect(page.locator(".chart table").first).to_be_visible()
    page.get_by_role("link", name="7 d").click()
    expect(page.locator(".verdict")).to_contain_text("in the last 7 days")


def test_it_follows_what_comes_without_moving_what_is_held(page: Page, acme: Tenant) -> None:
    made = Pushes(acme)
    made.write(5, SENT, **IPHONE)
    made.count()
    page.clock.install()
    page.goto(PAGE)
    expect(page.locator(".live")).to_contain_text("Updated")
    page.locator("#why-no-receipt summary").click()
    link = page.locator(".splits").get_by_role("link", name=acme.server.name)
    link.focus()
    page.evaluate("scrollTo(0, 300)")
    made.write(1, KEY_REFUSED, **IPHONE)
    made.count()
    with page.expect_response("**/delivery/?range=24h") as answer:
        page.clock.run_for(5_000)
    assert answer.value.status == 200
    expect(page.locator(".verdict")).to_contain_text("50 % of 2 pushes were handed off")
    expect(link).to_be_focused()
    expect(page.locator("#why-no-receipt")).to_have_attribute("open", "")
    assert page.evaluate("scrollY") == 300
    # No push was acknowledged.
    expect(page.locator("canvas")).to_have_count(2)


def test_nothing_new_changes_nothing_a_fault_is_said_and_a_pause_is_kept(page: Page, acme: Tenant) -> None:
    made = Pushes(acme)
    made.write(5, SENT, **IPHONE)
    made.count()
    page.clock.install()
    page.goto(PAGE)
    # A minute may begin in between: then there is something new.
    for _ in range(3):
        page.evaluate("document.querySelector('.verdict').dataset.mine = ''")
        with page.expect_response("**/delivery/?range=24h") as answer:
            page.clock.run_for(5_000)
        if answer.value.status == 304:
            break
    assert answer.value.status == 304
    assert page.locator(".verdict[data-mine]").count() == 1
    late = page.get_by_text("Cannot be updated at the moment")
    expect(late).to_be_hidden()
    page.route("**/delivery/?range=24h", lambda route: route.fulfill(status=503, body=""))
    page.clock.run_for(5_000)
    expect(late).to_be_visible()
    expect(page.locator(".verdict")).to_contain_text("The only push was handed off")
    page.unroute("**/delivery/?range=24h")
    with page.expect_response("**/delivery/?range=24h"):
        page.clock.run_for(5_000)
    expect(late).to_be_hidden()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("button", name="Pause").press("Enter")
    page.clock.run_for(30_000)
    assert asked == []
