"""The list of pushes and the live tail in a real browser, as they are served to a customer's people."""

import itertools
import operator
import re

import pytest
from playwright.sync_api import Page, expect

from delivery.outcomes import judge
from tests.browser.conftest import NewPage
from tests.browser.looks import NARROW, NARROWEST, WIDE, assert_accessible, assert_no_sideways_scroll
from tests.browser.through_client import ORIGIN, answered_by
from tests.browsing import Browser, Tenant, browser, tenant
from tests.delivery.pages.log_rows import acknowledge, count, trace_of, write
from tests.waiting import PATIENCE, wait_for

pytestmark = pytest.mark.django_db
LIVE = f"{ORIGIN}/c/acme/delivery/live/"


@pytest.fixture
def acme() -> Tenant:
    """A customer with pushes of each kind."""
    found = tenant("Acme")
    for number in range(60):
        verdict = judge.refusal("no_app") if number % 5 == 0 else None
        write(number, found, **({"verdict": verdict} if verdict else {}), ago=900 - number, ack_id=f"{number:026d}")
    acknowledge(found, f"{58:026d}")
    count()
    return found


@pytest.fixture
def ben(acme: Tenant) -> Browser:
    """One who views it."""
    return browser(acme.customer, "viewer")


def opened(new_page: NewPage, client: Browser, url: str = LIVE, **options: object) -> Page:
    """A page whose clock is the test's."""
    page = new_page(**options)
    answered_by(page, client)
    page.clock.install()
    page.goto(url)
    return page


def written(number: int, acme: Tenant) -> None:
    """A push of just now, written and counted at once as the log's writer does: it may be the first of its hour."""
    write(number, acme, ago=1)
    count()


def ask_until_first(page: Page, trace: str) -> None:
    """Let the page's clock go on until a push is the first one: a busy machine answers after the tail has given up."""

    pauses = itertools.accumulate(itertools.repeat(1.4), operator.mul, initial=200.0)

    def is_first() -> bool:
        page.clock.run_for(4_000)
        page.wait_for_timeout(min(next(pauses), 6_000.0))
        return traces(page)[0] == trace

    wait_for(is_first, PATIENCE, "the push")


def traces(page: Page) -> list[str]:
    """Which pushes are shown."""
    found: list[str] = page.evaluate("[...document.querySelectorAll('tr[data-key]')].map((row) => row.dataset.key)")
    return found


@pytest.mark.parametrize("place", ["live/", "pushes/", "pushes/?outcome=gone&range=90d"])
def test_pushes_are_accessible_light_and_dark_wide_and_narrow(new_page: NewPage, ben: Browser, place: str) -> None:
    page = opened(new_page, ben, f"{ORIGIN}/c/acme/delivery/{place}", viewport=WIDE, color_scheme="light")
    assert_accessible(page)
    assert_no_sideways_scroll(page)
    page.emulate_media(color_scheme="dark")
    assert_accessible(page, colours_only=True)
    page.set_viewport_size(NARROW)
    assert_accessible(page)
    assert_no_sideways_scroll(page)
    page.set_viewport_size(NARROWEST)
    assert_no_sideways_scroll(page)


def test_new_pushes_are_put_in_place_and_what_is_there_stays_the_same(
    new_page: NewPage, ben: Browser, acme: Tenant
) -> None:
    page = opened(new_page, ben, viewport=WIDE)
    assert traces(page)[0] == trace_of(59)
    page.evaluate("document.querySelector('tr[data-key]').marked = true")
    row = page.locator("tr[data-key]").nth(20)
    row.scroll_into_view_if_needed()
    page.evaluate("scrollTo(0, 400)")
    place = row.evaluate("(row) => row.getBoundingClientRect().top")
    key = row.get_attribute("data-key")
    written(100, acme)
    acknowledge(acme, f"{57:026d}")
    ask_until_first(page, trace_of(100))
    expect(page.locator(f"tr[data-key='{trace_of(57)}']")).to_contain_text("Delivered")
    assert page.evaluate("document.querySelectorAll('tr[data-key]')[1].marked") is True
    assert len(traces(page)) == 50
    now = page.locator(f"tr[data-key='{key}']").evaluate("(row) => row.getBoundingClientRect().top")
    assert abs(now - place) < 2


def test_the_tail_pauses_and_rests_while_it_is_not_seen_and_says_how_old_it_is(
    new_page: NewPage, ben: Browser, acme: Tenant
) -> None:
    page = opened(new_page, ben)
    asked: list[str] = []
    page.on("request", lambda request: "/static/" in request.url or asked.append(request.url))
    pause = page.get_by_role("button", name="Pause")
    pause.focus()
    page.keyboard.press("Enter")
    expect(pause).to_have_attribute("aria-pressed", "true")
    page.clock.run_for(9_000)
    assert asked == []
    expect(page.locator(".live time")).to_have_text(re.compile(r"^\d+ s ago$"))
    page.keyboard.press("Enter")
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    page.clock.run_for(9_000)
    assert asked == []
    page.evaluate("delete document.hidden")
    written(100, acme)
    ask_until_first(page, trace_of(100))
    expect(pause).to_be_focused()


def test_what_has_not_changed_is_not_sent_again(new_page: NewPage, ben: Browser) -> None:
    page = opened(new_page, ben)
    with page.expect_response(lambda response: response.status == 304):
        page.clock.run_for(3_500)
    expect(page.locator(".live time")).to_have_text(re.compile("^(now|[0-3] s ago)$"))
    assert len(traces(page)) == 50


def test_a_service_that_does_not_answer_is_told_and_the_rows_stay(new_page: NewPage, ben: Browser) -> None:
    page = opened(new_page, ben)
    # As htmx does, which also writes to the console then.
    event = "new CustomEvent('htmx:sendError', { bubbles: true })"
    page.evaluate(f"document.getElementById('live-pushes').dispatchEvent({event})")
    expect(page.get_by_text("Cannot be updated at the moment")).to_be_visible()
    assert len(traces(page)) == 50


def test_without_script_the_tail_can_be_reloaded(new_page: NewPage, ben: Browser) -> None:
    page = new_page(java_script_enabled=False)
    answered_by(page, ben)
    page.goto(LIVE)
    assert page.locator("tr[data-key]").count() == 50
    page.get_by_role("link", name="Reload").click()
    expect(page.locator("tr[data-key]")).to_have_count(50)


def test_the_list_leads_to_older_pushes_and_back(new_page: NewPage, ben: Browser) -> None:
    page = opened(new_page, ben, f"{ORIGIN}/c/acme/delivery/pushes/")
    assert traces(page)[0] == trace_of(59)
    page.get_by_role("link", name="Older").click()
    expect(page.locator("tr[data-key]")).to_have_count(10)
    page.get_by_role("link", name="Newest").click()
    expect(page.locator("tr[data-key]")).to_have_count(50)
