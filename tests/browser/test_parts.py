"""Every part in a real browser: accessible, within its budget, usable by keyboard alone, without script and narrow."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NewPage
from tests.browser.looks import (
    NARROW,
    NARROWEST,
    WIDE,
    Traffic,
    assert_accessible,
    assert_no_sideways_scroll,
    layout_shift,
)

PAGES = ["gallery/normal/", "gallery/empty/", "gallery/much/", "gallery/wrong/", "gallery/login/", ""]
ERRORS = {"nowhere/at/all": 404, "gallery/refuse/": 403, "gallery/fail/": 500}


@pytest.mark.parametrize("path", [*PAGES, *ERRORS])
def test_a_page_is_accessible_light_and_dark_wide_and_narrow(new_page: NewPage, path: str) -> None:
    page = new_page(viewport=WIDE, color_scheme="light")
    page.goto(f"/{path}")
    assert_accessible(page)
    assert_no_sideways_scroll(page)
    page.emulate_media(color_scheme="dark")
    assert_accessible(page, colours_only=True)
    page.set_viewport_size(NARROW)
    assert_accessible(page)
    assert_no_sideways_scroll(page)
    page.set_viewport_size(NARROWEST)
    assert_no_sideways_scroll(page)


def test_the_check_of_accessibility_finds_a_field_without_a_label(new_page: NewPage) -> None:
    page = new_page()
    page.goto("/gallery/login/")
    page.evaluate("document.querySelector('label').remove()")
    with pytest.raises(AssertionError, match="label"):
        assert_accessible(page)


@pytest.mark.parametrize("path", ["gallery/normal/", "gallery/empty/", "gallery/wrong/", "gallery/login/"])
def test_a_page_weighs_little_asks_nobody_else_and_moves_nothing(new_page: NewPage, path: str) -> None:
    page = new_page(viewport=WIDE)
    traffic = Traffic(page)
    page.goto(f"/{path}", wait_until="networkidle")
    assert 1000 < traffic.bytes <= 100_000
    assert {url.split("/")[2] for url in traffic.urls if not url.startswith("data:")} == {page.url.split("/")[2]}
    assert layout_shift(page) < 0.01


def test_what_is_named_like_a_script_is_shown_and_not_run(new_page: NewPage) -> None:
    page = new_page()
    page.goto("/gallery/much/")
    assert page.get_by_text("<script>document.title").count() > 0
    assert page.title().startswith("Parts")


def test_a_policy_forbids_what_is_inline(new_page: NewPage) -> None:
    page = new_page()
    answer = page.goto("/gallery/normal/")
    assert answer is not None
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["referrer-policy"] == "same-origin"
    assert not re.search(r"\sstyle=|\son[a-z]+=", page.content())


def test_the_first_stop_of_the_keyboard_skips_to_the_content(new_page: NewPage) -> None:
    page = new_page()
    page.goto("/gallery/empty/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Add a server")).to_be_focused()


def test_the_drawer_opens_and_closes_by_keyboard_and_leads_to_pages(new_page: NewPage) -> None:
    page = new_page(viewport=NARROW)
    page.goto("/c/acme/servers/")
    menu = page.locator(".drawer summary")
    people = page.locator(".drawer").get_by_role("link", name="People")
    expect(people).to_be_hidden()
    menu.focus()
    page.keyboard.press("Enter")
    expect(people).to_be_visible()
    assert_accessible(page)
    expect(page.locator(".drawer a[aria-current=page]")).to_have_text("Servers & keys")
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(people).to_be_hidden()
    expect(menu).to_be_focused()
    page.keyboard.press("Enter")
    people.press("Enter")
    page.wait_for_url("**/people/")
    expect(page.locator(".drawer")).not_to_have_attribute("open", "")


def test_without_script_the_drawer_opens_and_times_are_utc(new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False, viewport=NARROW, timezone_id="Asia/Tokyo")
    page.goto("/gallery/normal/")
    for name in ("Copy", "Pause", "Dismiss"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    expect(page.locator("time").first).to_contain_text("UTC")
    page.locator(".drawer summary").click()
    expect(page.locator(".drawer").get_by_role("link", name="People")).to_be_visible()


def test_times_are_relative_and_in_the_viewers_zone(new_page: NewPage) -> None:
    page = new_page(timezone_id="Asia/Tokyo")
    page.goto("/gallery/normal/")
    recent = page.locator("[aria-labelledby=rows] time").first
    expect(recent).to_have_text(re.compile(r"^(6\d s|[1-4] min) ago$"))
    expect(recent).to_have_attribute("title", re.compile(r"GMT\+9"))
    expect(page.locator("[data-zone]")).to_have_text("Asia/Tokyo")


def test_a_value_is_copied_whole(new_page: NewPage) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto("/gallery/normal/")
    page.get_by_role("button", name="Copy trace id").click()
    expect(page.locator(".copy.inline button")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "https://push.example.com/t/hk_7Qm2ExampleOnly"


def test_what_is_wrong_in_a_form_is_told_twice_and_takes_the_focus(new_page: NewPage) -> None:
    page = new_page()
    page.goto("/gallery/wrong/")
    summary = page.locator("form [role=alert]")
    expect(summary).to_be_focused()
    summary.get_by_role("link", name="Name").click()
    name = page.get_by_label("Name", exact=True)
    expect(name).to_be_focused()
    expect(name).to_have_attribute("aria-invalid", "true")
    expect(name).to_have_accessible_description(re.compile("This field is required"))
    expect(page.get_by_label("E-mail address")).to_have_value("ada@")


@pytest.mark.parametrize(("path", "status"), ERRORS.items())
def test_an_error_is_a_page_for_people(new_page: NewPage, path: str, status: int) -> None:
    page = new_page()
    answer = page.goto(f"/{path}")
    assert answer is not None
    assert answer.status == status
    expect(page.get_by_role("link", name="Go to the start")).to_be_visible()
