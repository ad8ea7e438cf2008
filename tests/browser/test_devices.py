"""The pages of devices in a real browser: with phones of every state, and with none."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from delivery.devices import absorbing, counting
from delivery.providers import table
from tenants.models import PushApp, Server
from tests.browser.conftest import NewPage
from tests.browser.looks import NARROW, NARROWEST, WIDE, assert_accessible, assert_no_sideways_scroll
from tests.browser.through_client import ORIGIN, answered_by
from tests.browsing import Browser
from tests.delivery.devices.writing import GONE, WRONG, push, receipt
from tests.delivery.rollups.pushes import HOUR, SENT
from tests.tenants.two_customers import Cast, two_customers

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
ADDRESS = "/c/acme/delivery/devices/"
SILENT, GONE_ONE, WELL = (digit * 32 for digit in "abc")
LONG = "chat." + "a-very-long-name-of-a-server-" * 6 + "acme.example"
ARABIC = "شركة الاتصالات العالمية المحدودة – خادم الدردشة"


def phones(cast: Cast) -> None:
    """Phones of Acme's in each state, of servers with long names, too, and months of others."""
    who: dict[str, Any] = {"customer": cast.acme.customer.pk, "server": cast.acme.server.pk}
    who["app"] = PushApp.objects.get(customer=cast.acme.customer).pk
    names = (LONG, ARABIC)
    servers = [Server.objects.create(customer=cast.acme.customer, name=name).pk for name in names]
    android = {"platform": "android_rn-v2"}
    google = table.PROVIDERS["fcm"].outcomes.sent
    numbers = iter(range(10_000))

    def one(days: float, verdict: Any = SENT, **members: Any) -> None:
        second = round((datetime.now(UTC) - timedelta(days=days) - HOUR).total_seconds(), 3)
        acked, trace = members.pop("acked", False), f"{next(numbers):012x}-1"
        push(trace, second, verdict, **{**who, **members})
        if acked:
            receipt(trace, second)

    for days in (28, 20, 9, 3, 1):
        one(days, device=SILENT)
        one(days, device=WELL, acked=True)
        one(days, google, device="d" * 32, server=servers[0], acked=days > 20, **android)
    one(2, device=GONE_ONE, type="session")
    one(1.5, device=GONE_ONE)
    one(1, GONE, device=GONE_ONE)
    one(1, WRONG, device="e" * 32, server=servers[1])
    for number in range(60):
        days = 1 + number / 3
        one(days + 10, device=f"{number:032x}", server=servers[number % 2])
        one(days, GONE if number % 4 == 0 else SENT, device=f"{number:032x}", server=servers[number % 2])
    for month in range(1, 9):
        for number in range(3 * month):
            one(20 + 30 * month, device=f"{month:016x}{number:016x}")
    absorbing.absorb()
    counting.count_active()


@pytest.fixture
def cast(db: None) -> Cast:
    return two_customers()


@pytest.fixture
def page(new_page: NewPage) -> Page:
    return new_page(viewport=WIDE)


def test_the_devices_of_a_customer_are_accessible_and_fit(page: Page, cast: Cast) -> None:
    phones(cast)
    answered_by(page, Browser().enter(cast.ada))
    for address in (ADDRESS, *(f"{ADDRESS}{device}/" for device in (SILENT, GONE_ONE, WELL, "d" * 32))):
        page.set_viewport_size(WIDE)
        page.goto(ORIGIN + address)
        assert page.locator("h1").count() == 1
        assert_accessible(page)
        for window in (NARROW, NARROWEST):
            page.set_viewport_size(window)
            assert_no_sideways_scroll(page)
        assert_accessible(page)


def test_a_phone_that_gets_nothing_is_explained_in_two_clicks(page: Page, cast: Cast) -> None:
    phones(cast)
    answered_by(page, Browser().enter(cast.ada))
    page.goto(ORIGIN + ADDRESS)
    page.get_by_role("link", name=GONE_ONE[:12]).click()
    answer = page.locator(".answer")
    expect(answer).to_contain_text("Removed on")
    expect(answer).to_contain_text("because the app is no longer installed on this device, or has a new token")
    expect(answer).to_contain_text("Its user has to log in to the app again.")
    expect(page.locator("main")).to_contain_text("Its session ended on")


def test_a_device_id_that_nobody_knows_is_told_of(page: Page, cast: Cast) -> None:
    answered_by(page, Browser().enter(cast.ada))
    page.goto(ORIGIN + ADDRESS)
    page.get_by_label("Device id").fill("apple_rn-v2:" + "ff" * 32)
    page.get_by_role("button", name="Find device").click()
    expect(page.locator("main")).to_contain_text("No push to this device is known")
    assert "ffff" not in page.content()
    assert "ffff" not in page.url
    assert_accessible(page)
