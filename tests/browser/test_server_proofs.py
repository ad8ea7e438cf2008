"""The part of a server's page that says who it is, in a browser: of a server that is proven, and one in trouble."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from hpns.local.mattermost_site import Installation
from tenants.models import Role, Site
from tests.browser.conftest import NewPage
from tests.browser.looks import NARROW, NARROWEST, WIDE, assert_accessible, assert_no_sideways_scroll
from tests.browser.through_client import ORIGIN, answered_by
from tests.browsing import Browser, Tenant, member, tenant
from tests.tenants.proofs.sending import NOW, Sender, seen

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
LONG = "Gesellschaft für die außerordentlich langen Firmennamen mit beschränkter Haftung & Co الشركة العربية للاختبار"


@pytest.fixture
def acme(db: None) -> Tenant:
    return tenant("Acme")


def look(page: Page) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for window in (WIDE, NARROW, NARROWEST):
            page.set_viewport_size(window)
            assert_no_sideways_scroll(page)
        assert_accessible(page)


def test_a_servers_page_says_who_it_is_and_what_to_do(new_page: NewPage, acme: Tenant) -> None:
    page = new_page(viewport=WIDE)
    answered_by(page, Browser().enter(member("ada", acme.customer, Role.OWNER)))
    address = f"{ORIGIN}/c/acme/servers/{acme.server.public_id}/"
    part = page.locator("section[aria-labelledby=identity]")
    home, minute = Installation(), int((timezone.now() - NOW).total_seconds() // 60)
    seen(acme.server, home, at=timezone.now() - timedelta(hours=3))
    Site.objects.update(company=LONG, users=12_500, problem="It did not answer.", asked_at=timezone.now())
    Sender(acme.key, home).push(minute)
    page.goto(address)
    expect(part).to_contain_text("Its pushes are signed with the key of chat.example.com")
    expect(part).to_contain_text("12,500 seats")
    look(page)
    Sender(acme.key, Installation()).push(minute)
    page.goto(address)
    expect(page.locator(".troubles")).to_contain_text("Another Mattermost installation pushes with the key")
    look(page)
    part.get_by_text("Fetch its site again, or another one").click()
    part.get_by_label("Address of the site").fill("http://chat.example.com")
    part.get_by_role("button", name="Fetch the site's documents").click()
    expect(part).to_contain_text("The address must begin with https://")
    look(page)
