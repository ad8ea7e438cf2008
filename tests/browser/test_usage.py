"""The page of usage in a browser: with data, with none, with too much; accessible, narrow, and by days of UTC."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from django.utils import timezone
from playwright.sync_api import Page, expect

from billing.usage import closing, months, sources, watching
from tenants.models import Role, Server
from tests.billing.usage.used import devices, known, pushes, since, terms
from tests.browser.conftest import NewPage
from tests.browser.looks import NARROW, WIDE, assert_accessible, assert_no_sideways_scroll
from tests.browser.through_client import ORIGIN, answered_by
from tests.browsing import Browser, Tenant, member, staff, tenant

pytestmark = pytest.mark.django_db
SHOTS = os.environ.get("SHOTS", "")


@pytest.fixture
def acme(valkey: redis.Redis) -> Tenant:
    made = tenant("Acme")
    since(made.customer, timezone.now() - timedelta(days=800))
    return made


def look(page: Page, client: Browser, address: str, name: str) -> None:
    answered_by(page, client)
    for window in (WIDE, NARROW):
        page.set_viewport_size(window)  # type: ignore[arg-type]
        page.goto(ORIGIN + address)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            assert_accessible(page, colours_only=scheme == "dark")
            assert_no_sideways_scroll(page)
            if SHOTS:
                page.screenshot(path=Path(SHOTS) / f"{name}-{scheme}-{window['width']}.png", full_page=True)


def used(acme: Tenant) -> None:
    """Some months of pushes by two servers, the running one up to now."""
    other = Server.objects.create(customer=acme.customer, name="chat-emea.acme.example")
    long_ago = months.moved(months.month_of(timezone.now()), -20)
    pushes(acme, months.begins(long_ago), 4_711)
    month = months.begins(months.moved(months.month_of(timezone.now()), -2))
    day, place = month, 0
    while day <= timezone.now():
        weekday = 1 if day.weekday() < 5 else 0.2
        pushes(acme, day, int(2_400 * weekday + 37 * (place % 11)))
        pushes(acme, day, int(900 * weekday), server=other.pk)
        devices(acme, day, [f"d{number}" for number in range(place % 7, 60)], day.day)
        devices(acme, day, [f"d{number}" for number in range(20)], day.day, server=other.pk)
        day, place = day + timedelta(days=1), place + 1
    closing.close_all(timezone.now(), known(seats=lambda _: 250))
    pushes(acme, months.begins(months.moved(months.month_of(timezone.now()), -2)), 12)
    closing.close_all(timezone.now(), known(seats=lambda _: 250))


def test_with_data(acme: Tenant, new_page: NewPage, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = terms(included_pushes=100_000, included_devices=50, included_servers=5)
    wired = known(plan, seats=lambda _: 250)
    monkeypatch.setattr(sources, "current", lambda: wired)
    used(acme)
    watching.watch_all(timezone.now(), wired)
    page = new_page(timezone_id="America/Los_Angeles")
    ada = Browser().enter(member("ada", acme.customer, Role.OWNER))
    look(page, ada, "/c/acme/usage/", "data")
    month = months.text(months.moved(months.month_of(timezone.now()), -2))
    look(page, ada, f"/c/acme/usage/{month}/", "corrected")
    # Days are those of UTC for a viewer in California, too.
    chart = page.get_by_role("figure", name="Pushes by day (UTC)")
    chart.get_by_role("slider").focus()
    page.keyboard.press("Home")
    first = months.begins(months.moved(months.month_of(timezone.now()), -2))
    expect(chart.locator("[data-at]")).to_contain_text(f"{first:%a} 1 {first:%b}")
    chart.get_by_role("button", name="Show table").click()
    expect(chart.get_by_role("table")).to_contain_text(f"{first:%a} 1 {first:%b %Y}")
    answered_by(page, Browser().enter(staff(), factor=True))
    page.goto(f"{ORIGIN}/admin/billing/usagerunning/")
    if SHOTS:
        for window in (WIDE, NARROW):
            page.set_viewport_size(window)  # type: ignore[arg-type]
            page.screenshot(path=Path(SHOTS) / f"admin-{window['width']}.png", full_page=True)
            page.goto(f"{ORIGIN}/admin/billing/usagemonth/")
            page.screenshot(path=Path(SHOTS) / f"admin-months-{window['width']}.png", full_page=True)


def test_with_none_and_a_bad_month(acme: Tenant, new_page: NewPage) -> None:
    page = new_page()
    ada = Browser().enter(member("ada", acme.customer, Role.OWNER))
    look(page, ada, "/c/acme/usage/", "none")
    look(page, ada, "/c/acme/usage/2099-01/", "bad")


def test_with_too_much(acme: Tenant, new_page: NewPage, monkeypatch: pytest.MonkeyPatch) -> None:
    wired = known(terms(included_pushes=10), seats=lambda _: 1_000_000)
    monkeypatch.setattr(sources, "current", lambda: wired)
    names: list[str] = ["x" * 200, "خادم الدردشة " * 8, *(f"chat-{number}.example" for number in range(80))]
    rows = Server.objects.bulk_create(Server(customer=acme.customer, name=name) for name in names)
    for number, row in enumerate(rows):
        pushes(acme, timezone.now(), 987_654_321_000 - number, server=row.pk)
    closing.close_all(timezone.now(), wired)
    watching.watch_all(timezone.now(), wired)
    page = new_page()
    look(page, Browser().enter(member("ada", acme.customer, Role.OWNER)), "/c/acme/usage/", "much")
