"""Pages of a customer in trouble in a real browser: accessible, not too wide, and what to do is a click away."""

from datetime import timedelta

import pytest
import redis
from django.core.cache import cache
from django.utils import timezone
from playwright.sync_api import Page, expect

from delivery.outcomes import judge
from tenants.audit import recording
from tenants.models import Credential, Customer, PushApp, Rejection, ServerKey
from tests.browser.conftest import NewPage
from tests.browser.looks import NARROW, NARROWEST, WIDE, assert_accessible, assert_no_sideways_scroll
from tests.browser.through_client import ORIGIN, answered_by
from tests.browsing import Browser, staff
from tests.delivery.insight.traffic import REFUSED, came, count_all
from tests.delivery.paused import pause
from tests.delivery.rollups.pushes import SENT
from tests.tenants.two_customers import Cast, two_customers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
DOOR = ("wrong_network", "unknown_key", "plain_http", "malformed")


@pytest.fixture
def cast(db: None) -> Cast:
    """Acme with all kinds of troubles at once."""
    made, now = two_customers(), timezone.now()
    app = PushApp.objects.get(customer=made.acme.customer)
    ServerKey.objects.update(last_used_at=now)
    for ago in range(20):
        came(made.acme, SENT, ago=60 * ago + 1, count=24, app=app.pk)
    came(made.acme, REFUSED, count=36, app=app.pk)
    came(made.acme, judge.refusal("no_app"), type="test", platform="android_rn-v2")
    count_all()
    row = Credential.objects.get(app=app)
    recording.record("credential.refused", customer=made.acme.customer, target=str(row), code=REFUSED.code)
    Credential.objects.filter(app=app).update(refused_at=now - timedelta(minutes=5), refused_code=REFUSED.code)
    Rejection.objects.all().delete()
    for code in DOOR:
        Rejection.objects.create(
            key=made.acme.key,
            code=code,
            address="2001:db8:85a3:8d3:1319:8a2e:370:7348",
            count=12_345 + (code == "wrong_network"),
            first_at=now - timedelta(hours=3),
            last_at=now,
            encrypted=code != "plain_http",
            tls="TLSv1.3",
        )
    return made


@pytest.fixture
def page(new_page: NewPage, cast: Cast) -> Page:
    found = new_page(viewport=WIDE)
    answered_by(found, Browser().enter(cast.ada))
    return found


def test_home_server_app_and_test_page_with_many_troubles(page: Page, cast: Cast) -> None:
    app = PushApp.objects.get(customer=cast.acme.customer)
    Customer.objects.filter(pk=cast.acme.customer.pk).update(status="suspended")
    for address in ("", f"servers/{cast.acme.server.public_id}/", f"apps/{app.pk}/", "test/"):
        for window in (WIDE, NARROW, NARROWEST):
            page.set_viewport_size(window)
            page.goto(f"{ORIGIN}/c/acme/{address}")
            assert_no_sideways_scroll(page)
            if window != NARROWEST:
                assert_accessible(page)
        expect(page.locator(".troubles li").first).to_contain_text("Acme is suspended: every push is refused")


def test_from_home_a_click_leads_to_where_a_trouble_is_mended(page: Page) -> None:
    page.goto(f"{ORIGIN}/c/acme/")
    expect(page.locator(".answer")).to_contain_text("37 of 518 pushes failed in the last 24 hours.")
    expect(page.locator(".troubles li").first).to_contain_text("Apple refuses the key Acme of apple_own since")
    page.get_by_role("link", name="Upload a new key").click()
    expect(page.get_by_role("heading", name="Upload the next credential")).to_be_visible()
    page.goto(f"{ORIGIN}/c/acme/")
    page.get_by_role("link", name="Change the networks").click()
    expect(page.get_by_role("textbox", name="Networks")).to_be_visible()
    expect(page.locator(".door")).to_contain_text(
        "The request comes from an address that this server may not push from"
    )
    expect(page.locator(".door")).to_contain_text("TLS 1.3")


def test_a_paused_credential_on_the_pages_of_its_customer_and_of_the_staff(
    new_page: NewPage, cast: Cast, valkey: redis.Redis
) -> None:
    Credential.objects.update(refused_at=None, refused_code="")
    app = PushApp.objects.get(customer=cast.acme.customer)
    ada, staff_member = Browser().enter(cast.ada), Browser().enter(staff(), factor=True)
    for scheme in ("light", "dark"):
        page = new_page(viewport=WIDE, color_scheme=scheme)
        for client, address, words in (
            (ada, "/c/acme/", "does not answer in time, so that we have held back pushes to apple_own since"),
            (ada, f"/c/acme/apps/{app.pk}/", "its pushes are held back until api.push.apple.com answers again"),
            (ada, "/c/acme/apps/", "Paused"),
            (staff_member, "/admin/boards/providers/", "Open circuit breakers"),
        ):
            answered_by(page, client)
            for window in (WIDE, NARROW):
                cache.clear()
                pause(valkey, app, ago=-3600)  # however long the machine takes
                page.set_viewport_size(window)
                page.goto(f"{ORIGIN}{address}")
                expect(page.locator("main")).to_contain_text(words)
                assert_no_sideways_scroll(page)
            assert_accessible(page)
    cache.clear()


def test_the_troubles_beyond_a_few_are_folded_and_can_be_read(page: Page) -> None:
    page.goto(f"{ORIGIN}/c/acme/")
    rest = page.locator(".more-troubles .troubles li")
    expect(rest.first).not_to_be_visible()
    page.locator(".more-troubles summary").press("Enter")
    expect(rest.first).to_be_visible()
    assert_accessible(page)
