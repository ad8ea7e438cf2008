"""Where room is short: what stays whole, what goes, and what is not worth paper."""

from playwright.sync_api import expect

from tests.browser.conftest import NewPage
from tests.browser.looks import NARROW, WIDE


def test_long_neighbours_break_neither_a_time_nor_a_state(new_page: NewPage) -> None:
    page = new_page(viewport=WIDE)
    page.goto("/gallery/much/")
    lines = """found => found.map(one => one.getClientRects().length)"""
    for part in ("time", ".status"):
        counted = page.locator(f"[aria-labelledby=rows] td {part}").evaluate_all(lines)
        assert len(counted) == 40
        assert set(counted) == {1}, part


def test_the_products_name_stays_where_no_customers_name_needs_its_room(new_page: NewPage) -> None:
    page = new_page(viewport=NARROW)
    width = "one => one.getBoundingClientRect().width"
    page.goto("/nowhere/at/all")
    assert page.locator(".product > span").evaluate(width) > 100
    page.goto("/gallery/normal/")
    assert page.locator(".product > span").evaluate(width) <= 1


def test_what_can_only_be_pressed_is_not_printed(new_page: NewPage) -> None:
    page = new_page(viewport=WIDE)
    page.goto("/gallery/normal/")
    controls = [page.get_by_role("link", name="Older"), page.get_by_role("button", name="Add server")]
    for one in controls:
        expect(one).to_be_visible()
    page.emulate_media(media="print")
    for one in controls:
        expect(one).to_be_hidden()
    expect(page.locator("tbody tr").first).to_be_visible()


def test_milliseconds_of_a_long_way_are_written_as_all_figures(new_page: NewPage) -> None:
    page = new_page()
    page.goto("/gallery/normal/")
    expect(page.locator(".timeline")).to_contain_text("+1,210 ms")
