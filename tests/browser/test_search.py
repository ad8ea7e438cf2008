"""The search, one push, a post and the codes in a real browser: by keyboard, without script, and held against axe."""

import pytest
from django.conf import settings
from playwright.sync_api import Page, expect

from delivery.log.rows import fingerprint
from delivery.providers import table
from tests.browser.conftest import NewPage
from tests.browser.looks import WIDE, Traffic
from tests.browser.test_every_page import look
from tests.browser.through_client import ORIGIN, answered_by
from tests.browsing import Browser
from tests.delivery.logged_pushes import ACK, POST, TRACE, acknowledge, attempt, log
from tests.tenants.two_customers import Cast, two_customers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
BAD_TOPIC = table.verdict_of("apns_bad_topic")
PUSH = f"/c/acme/delivery/{TRACE}/"
REFUSED = "/c/acme/delivery/0123456789ab-8/"
OF_POST = f"/c/acme/delivery/posts/{POST}/"
TOKEN = "5a" * 32
LIGHT = 100 * 1024


@pytest.fixture
def cast(db: None) -> Cast:
    """Acme with a post to two phones, one of which got it."""
    made = two_customers()
    assert BAD_TOPIC is not None
    device = fingerprint(TOKEN, settings.HASH_KEY)
    at = log(made.acme, attempts=[attempt(503, "Shutdown"), attempt(200, after=0.4)], ended=0.45, device=device)
    acknowledge(made.acme, at + 1.2, trace=TRACE)
    log(made.acme, "0123456789ab-8", BAD_TOPIC, attempts=[attempt(400, "BadTopic")], ack_id="x" * 64)
    return made


@pytest.fixture
def page(new_page: NewPage, cast: Cast) -> Page:
    """Ada's."""
    page = new_page(viewport=WIDE)
    answered_by(page, Browser().enter(cast.ada))
    return page


def test_the_pages_of_pushes_are_accessible_and_fit(page: Page) -> None:
    look(
        page,
        PUSH,
        f"{REFUSED}?by=trace",
        OF_POST,
        f"{OF_POST}?code=sent",
        "/c/acme/search/",
        f"/c/acme/search/?ack={ACK}",
    )
    look(page, "/c/acme/search/?post=nothing", "/c/acme/search/?code=apns_bad_topic", "/codes/", "/codes/no_app/")


def test_an_unknown_code_is_accessible_too(page: Page) -> None:
    answer = page.goto(f"{ORIGIN}/codes/apns_bad_topik/")
    assert answer is not None
    assert answer.status == 404
    expect(page.get_by_role("link", name="apns_bad_topic", exact=True)).to_be_visible()


def test_a_pasted_permalink_answers_where_a_message_stopped_in_two_steps_by_keyboard(page: Page) -> None:
    page.goto(f"{ORIGIN}/c/acme/")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.insert_text(f"https://chat.acme.example/team/pl/{POST}")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{OF_POST}*")
    main = page.locator("main")
    expect(main).to_contain_text("2 pushes: 1 handed off (1 of them delivered), 1 refused.")
    main.get_by_role("link", name="0123456789ab-8").click()
    page.wait_for_url(f"**{REFUSED}")
    expect(main).to_contain_text("Not handed off: Apple refused the app's topic.")
    expect(main).to_contain_text("Enter the bundle id of the mobile app")


def test_a_slash_in_a_field_is_a_slash(page: Page) -> None:
    page.goto(f"{ORIGIN}/c/acme/search/")
    page.keyboard.press("/")
    page.keyboard.press("/")
    expect(page.locator("#search")).to_have_value("/")


def test_a_device_id_is_searched_for_without_script_and_stands_in_no_address(new_page: NewPage, cast: Cast) -> None:
    page = new_page(viewport=WIDE, java_script_enabled=False)
    answered_by(page, Browser().enter(cast.ada))
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    page.goto(f"{ORIGIN}/c/acme/")
    page.locator("#search").fill(f"apple_rn-v2:{TOKEN}")
    page.locator("#search").press("Enter")
    page.wait_for_url(lambda url: fingerprint(TOKEN, settings.HASH_KEY) in url)
    assert [url for url in urls if TOKEN in url] == []


def test_a_push_has_few_bytes(page: Page) -> None:
    traffic = Traffic(page)
    page.goto(ORIGIN + PUSH)
    expect(page.locator("main")).to_contain_text("Delivered: the phone acknowledged it 1.2 s after it came in.")
    assert traffic.bytes <= LIGHT
