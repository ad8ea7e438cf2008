"""Each page of the service in a real browser, as those see it who may: accessible, and no wider than the window."""

import pytest
from allauth.account.models import EmailAddress
from django.core.cache import cache
from playwright.sync_api import Page, expect

from delivery.providers import table
from tenants import redis_client
from tenants.models import Credential, PushApp
from tests.browser.conftest import NewPage
from tests.browser.looks import NARROW, NARROWEST, WIDE, assert_accessible, assert_no_sideways_scroll
from tests.browser.through_client import ORIGIN, answered_by
from tests.browsing import Browser, staff
from tests.delivery.insight import recent
from tests.delivery.pages.test_dead_letters import keep
from tests.permission_table import BOARDS
from tests.tenants.two_customers import Cast, two_customers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]

ACCOUNT = ("", "email/", "password/change/", "customers/", "2fa/", "2fa/totp/activate/", "2fa/webauthn/", "sessions/")
NOBODYS = ("login/", "password/reset/", "password/reset/done/", "signup/", "password/reset/key/1-x/")


@pytest.fixture
def cast(db: None) -> Cast:
    return two_customers()


@pytest.fixture
def page(new_page: NewPage) -> Page:
    return new_page(viewport=WIDE)


def look(page: Page, *addresses: str) -> None:
    """Look at each, wide and narrow; what is wrong with any is told together."""
    wrong = []
    for address in addresses:
        page.set_viewport_size(WIDE)
        answer = page.goto(ORIGIN + address)
        assert answer is not None
        try:
            assert answer.ok, answer.status
            assert page.url == ORIGIN + address, f"it leads to {page.url}"
            assert page.locator("h1").count() == 1, page.locator("h1").all_inner_texts()
            assert page.locator("h1").inner_text() != ""
            assert_accessible(page)
            for window in (NARROW, NARROWEST):
                page.set_viewport_size(window)
                assert_no_sideways_scroll(page)
                if window == NARROW:
                    assert_accessible(page)
        except AssertionError as error:
            wrong.append(f"{address}: {str(error).partition(chr(10) + 'assert')[0]}")
    assert not wrong, "\n".join(wrong)


def test_a_customers_pages(page: Page, cast: Cast) -> None:
    answered_by(page, Browser().enter(cast.ada))
    app = PushApp.objects.get(customer=cast.acme.customer)
    credential = Credential.objects.get(app=app)
    member = cast.acme.customer.memberships.exclude(user=cast.ada).get()
    server = f"servers/{cast.acme.server.public_id}/"
    below = ["", "servers/", server, f"{server}keys/{cast.acme.key.prefix}/revoke/", f"{server}site/paste/", "apps/"]
    below += [f"{server}{act}/" for act in ("disable", "remove")]
    below += [f"apps/{app.pk}/", *(f"apps/{app.pk}/{act}/" for act in ("change", "disable", "remove"))]
    below += [f"apps/{app.pk}/credentials/{credential.pk}/remove/", "test/", "test/x/", "settings/"]
    below += ["people/", f"people/{member.pk}/remove/", "people/leave/", "audit/", "audit/?action=nothing"]
    below += ["settings/export/", "settings/erase/", "delivery/providers/"]
    below += ["subscription/", "subscription/cancel/", "usage/", "licence/"]
    look(page, *(f"/c/acme/{each}" for each in below))


def test_the_page_for_erasure_after_a_slip_and_after_it_was_asked_for(page: Page, cast: Cast) -> None:
    answered_by(page, Browser().enter(cast.ada))
    for typed, text in (("cosmos", "This is not acme."), ("acme", "Nothing has been erased yet")):
        page.goto(f"{ORIGIN}/c/acme/settings/erase/")
        page.get_by_label("Type the slug acme to confirm").fill(typed)
        page.get_by_role("button", name="Suspend Acme").click()
        expect(page.locator("main")).to_contain_text(text)
        for window in (WIDE, NARROW):
            page.set_viewport_size(window)
            assert_accessible(page)
            assert_no_sideways_scroll(page)


def test_a_part_that_asks_by_itself_says_when_and_rests_once_it_is_paused(page: Page, cast: Cast) -> None:
    polls: list[str] = []
    page.on("request", lambda request: polls.append(request.url) if request.url.endswith("/arrived/") else None)
    page.clock.install()
    answered_by(page, Browser().enter(cast.ada))
    page.goto(f"{ORIGIN}/c/acme/servers/{cast.acme.server.public_id}/")
    live = page.locator(".live")
    for _ in range(2):
        with page.expect_response("**/arrived/"):
            page.clock.run_for(3_000)
    expect(live).to_contain_text("Updated")
    pause = live.get_by_role("button", name="Pause")
    pause.press("Enter")
    expect(pause).to_have_attribute("aria-pressed", "true")
    expect(pause).to_be_focused()
    before = len(polls)
    page.clock.run_for(30_000)
    assert len(polls) == before
    pause.press("Enter")
    with page.expect_response("**/arrived/"):
        page.clock.run_for(3_000)
    expect(pause).to_have_attribute("aria-pressed", "false")
    expect(pause).to_be_focused()
    # Each time that it would ask is seen, for an answer that is still awaited keeps it from asking, too.
    expect(page.locator(".htmx-request")).to_have_count(0)
    page.evaluate(
        """() => {
            window.asked = [];
            document.addEventListener("htmx:beforeRequest", (event) => window.asked.push(!event.defaultPrevented));
        }"""
    )
    page.clock.fast_forward(3_700_000)
    page.clock.run_for(30_000)
    asked = page.evaluate("window.asked")
    assert len(asked) > 1, "it looks whether it may ask"
    assert not any(asked), "a page that nobody has touched for an hour asks no more"
    page.keyboard.press("Shift")
    with page.expect_response("**/arrived/"):
        page.clock.run_for(3_000)


def test_a_customers_pages_as_staff_see_them(page: Page, cast: Cast) -> None:
    answered_by(page, Browser().enter(staff(), factor=True))
    look(page, "/c/acme/", "/c/acme/servers/", "/c/acme/delivery/providers/")


def test_the_boards_of_the_staff(page: Page, cast: Cast) -> None:
    cache.clear()
    for number in range(7):
        recent.push(cast.acme.customer.pk + number, 40)
    recent.push(cast.acme.customer.pk, 10, verdict=table.verdict_of("apns_invalid_provider_token"))
    recent.push(cast.cosmos.customer.pk, 1, verdict=table.verdict_of("apns_unknown"))
    recent.count()
    answered_by(page, Browser().enter(staff(), factor=True))
    with redis_client.connect(5) as valkey:
        keep(valkey, cast.acme.customer.pk, 1)
    letters = "/admin/boards/dead-letters/?code=apns_bad_topic"
    look(page, *(f"/admin/boards/{each}" for each in BOARDS), "/admin/boards/silent/?for=7d", letters)


def test_the_pages_of_ones_account(page: Page, cast: Cast) -> None:
    cast.ada.set_password("correct horse battery staple")
    cast.ada.save()
    EmailAddress.objects.create(user=cast.ada, email=cast.ada.email, verified=True, primary=True)
    answered_by(page, Browser().enter(cast.ada))
    look(page, *(f"/account/{each}" for each in ACCOUNT))


def test_the_pages_of_the_way_in(page: Page, cast: Cast) -> None:
    answered_by(page, Browser())
    look(page, *(f"/account/{each}" for each in NOBODYS), "/", "/docs/", "/codes/")


def test_the_admin_runs_under_the_policy_of_the_pages(page: Page, cast: Cast) -> None:
    # What the policy refuses is told on the console, and that fails the test (see new_page).
    answered_by(page, Browser().enter(staff(), factor=True))
    for address in (
        "/admin/",
        "/admin/tenants/customer/",
        "/admin/tenants/server/",
        "/admin/tenants/serverid/",
        "/admin/tenants/finding/",
        "/admin/delivery/delivery/",
        "/admin/tenants/unknowncaller/",
    ):
        answer = page.goto(ORIGIN + address)
        assert answer is not None
        assert answer.ok, address
    assert page.locator("#site-name").count() == 1
