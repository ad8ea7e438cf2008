"""The status page in a real browser: with everything going on, with nothing yet, old, and the pages around it."""

from datetime import timedelta

import pytest
import redis
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django import Settings

from billing.incidents import publishing, subscribing
from billing.models import CanaryMinute, Incident, IncidentUpdate, MaintenanceWindow, StatusDay
from tests.billing.incidents.canary_world import MINUTE, beats, since
from tests.browser.conftest import NewPage
from tests.browser.looks import NARROW, NARROWEST, WIDE, Traffic, assert_accessible, assert_no_sideways_scroll
from tests.browser.through_client import ORIGIN, answered_by
from tests.browsing import Browser, staff

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
ARABIC = "تعطل الإشعارات على هواتف آيفون – نبحث عن السبب"
LONG = "https://status.example.com/" + "a-long-address-without-any-break-" * 3


@pytest.fixture(autouse=True)
def own_cache(settings: Settings, valkey: redis.Redis) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": settings.REDIS_URL}}
    settings.PUBLIC_URL = ORIGIN


def eventful() -> None:
    """Ninety days with bad ones among them, an incident that lasts, one that is over, and maintenance ahead."""
    now = timezone.now().replace(second=0, microsecond=0)
    for number in range(1, 70):
        day = (now - timedelta(days=number)).date()
        for key, bad in (("accepting", 0), ("apns", {9: 45, 30: 3}.get(number, 0)), ("fcm", 0), ("pages", number % 2)):
            StatusDay.objects.create(day=day, component=key, good=1440 - bad, bad=bad, unknown=0)
    beats(since(now - timedelta(hours=1), 60))
    CanaryMinute.objects.filter(at__gte=now - 12 * MINUTE, family="apns").update(
        good=False, whose="provider", why="apns_shutdown"
    )
    lasts = incident("Pushes to iPhones fail", now - 10 * MINUTE, None)
    say(lasts, now - 8 * MINUTE, "Apple answers no push since 14:20. Pushes wait with us and are tried again.")
    say(lasts, now - 2 * MINUTE, ARABIC)
    over = incident(LONG, now - timedelta(days=9), now - timedelta(days=9) + 45 * MINUTE)
    say(over, now - timedelta(days=9), "We look into it.\n\nMore follows. " + LONG)
    MaintenanceWindow.objects.create(
        title="New disks for the database",
        text="Pages are away for some minutes. Pushes go on.",
        components=["pages"],
        starts_at=now + timedelta(days=4),
        ends_at=now + timedelta(days=4, minutes=30),
        published_at=now,
    )


def incident(title: str, start: object, end: object) -> Incident:
    return Incident.objects.create(
        title=title, components=["apns"], impact="down", started_at=start, resolved_at=end, published_at=start
    )


def say(row: Incident, at: object, text: str) -> None:
    IncidentUpdate.objects.create(incident=row, at=at, text=text, published_at=at)


def look(page: Page, address: str) -> None:
    """Wide and narrow, light and dark."""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size(WIDE)
        answer = page.goto(ORIGIN + address)
        assert answer is not None
        assert page.locator("h1").count() == 1
        for window in (WIDE, NARROW, NARROWEST):
            page.set_viewport_size(window)
            assert_no_sideways_scroll(page)
            assert_accessible(page, colours_only=scheme == "dark")


def test_a_service_with_everything_going_on(new_page: NewPage) -> None:
    eventful()
    page = new_page(viewport=WIDE)
    answered_by(page, Browser())
    traffic = Traffic(page)
    look(page, "/status/")
    expect(page.locator(".now")).to_contain_text("Pushes to Apple fail since")
    expect(page.locator("#old")).to_be_hidden()
    assert {url.partition("/status/")[0] for url in traffic.urls} == {ORIGIN}
    assert page.locator(".bars").count() == 4


def test_one_that_nobody_has_looked_at_and_the_pages_around_it(new_page: NewPage) -> None:
    page = new_page(viewport=WIDE)
    answered_by(page, Browser())
    confirm = f"/status/confirm/{subscribing.signing.dumps('sue@example.com', salt=subscribing._CONFIRM)}/"
    leave = f"/status/leave/{subscribing.leaving_token('sue@example.com')}/"
    for address in ("/status/", "/status/subscribe/", confirm, leave, "/status/leave/x/"):
        look(page, address)


def test_a_page_that_nobody_renews_says_how_old_it_is(new_page: NewPage) -> None:
    page = new_page(viewport=WIDE)
    page.clock.install()
    answered_by(page, Browser())
    page.goto(f"{ORIGIN}/status/")
    expect(page.locator("#old")).to_be_hidden()
    page.clock.run_for(7 * 60_000)
    expect(page.locator("#old")).to_contain_text("have not been renewed for")
    expect(page.locator("#old")).to_contain_text("they stand as of")
    assert_accessible(page)


def test_the_file_needs_no_server(new_page: NewPage, settings: Settings, tmp_path: object) -> None:
    settings.STATUS_DIR = str(tmp_path)
    eventful()
    index = publishing.publish(timezone.now())[0]
    page = new_page(viewport=WIDE)
    page.goto(index.as_uri())
    expect(page.locator(".now")).to_contain_text("Pushes to Apple fail since")
    assert page.locator(".bars rect").count() == 4 * 90
    assert page.evaluate("getComputedStyle(document.querySelector('.now')).display") == "flex"


def test_the_staffs_forms_run_under_the_policy_of_the_pages(new_page: NewPage) -> None:
    eventful()
    page = new_page(viewport=WIDE)
    answered_by(page, Browser().enter(staff(), factor=True))
    there = f"/admin/billing/incident/{Incident.objects.first().pk}/change/"  # type: ignore[union-attr]
    for address in (there, "/admin/billing/maintenancewindow/add/", "/admin/billing/canaryminute/"):
        answer = page.goto(ORIGIN + address)
        assert answer is not None
        assert answer.ok, address
    page.goto(ORIGIN + there)
    expect(page.get_by_role("button", name="Save, publish and mail")).to_be_visible()
