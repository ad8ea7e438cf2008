"""Charts in a real browser: drawn, told apart without colour, walked along by keyboard, and beside each its table."""

import re

import pytest
from playwright.sync_api import Page, expect

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

# How many points of a plot have a colour of the stylesheet's, by its name.
COUNT_COLOUR = """(name) => {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const [r, g, b] = getComputedStyle(probe).color.match(/\\d+/g).map(Number);
    probe.remove();
    const canvas = document.querySelector("[data-plot] canvas");
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let found = 0;
    for (let n = 0; n < data.length; n += 4) if (data[n] === r && data[n + 1] === g && data[n + 2] === b) found += 1;
    return found;
}"""


def drawn(page: Page, name: str) -> int:
    """How many points of the first plot have a series' colour."""
    found: int = page.evaluate(COUNT_COLOUR, name)
    return found


@pytest.mark.parametrize("kind", ["normal", "empty", "much"])
def test_charts_are_accessible_light_and_dark_wide_and_narrow(new_page: NewPage, kind: str) -> None:
    page = new_page(viewport=WIDE, color_scheme="light")
    page.goto(f"/gallery/charts/{kind}/")
    assert_accessible(page)
    assert_no_sideways_scroll(page)
    page.emulate_media(color_scheme="dark")
    charts = page.get_by_role("figure").filter(has=page.get_by_role("button")).all()
    for chart in charts[:1] if kind == "much" else charts:  # axe takes a minute for tables of that size
        chart.get_by_role("button").click()
    assert_accessible(page)
    for size in (NARROW, NARROWEST):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        assert_no_sideways_scroll(page)


def test_a_page_with_charts_weighs_little_and_moves_nothing(new_page: NewPage) -> None:
    page = new_page(viewport=WIDE)
    traffic = Traffic(page)
    page.goto("/gallery/charts/normal/", wait_until="networkidle")
    assert 1000 < traffic.bytes <= 100_000
    assert {url.split("/")[2] for url in traffic.urls if not url.startswith("data:")} == {page.url.split("/")[2]}
    assert layout_shift(page) < 0.01


def test_the_curves_have_the_colours_of_the_ground_they_are_on(new_page: NewPage) -> None:
    page = new_page(viewport=WIDE, color_scheme="light")
    page.goto("/gallery/charts/normal/")
    assert drawn(page, "--series-1") > 1000
    assert drawn(page, "--series-4") > 100
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"({COUNT_COLOUR})('--series-1') > 1000")


def test_a_table_is_shown_and_hidden_by_keyboard(new_page: NewPage) -> None:
    page = new_page()
    page.goto("/gallery/charts/normal/")
    chart = page.get_by_role("figure", name="Time to hand-off")
    table = chart.get_by_role("table")
    expect(table).to_be_hidden()
    chart.get_by_role("slider").focus()
    page.keyboard.press("Tab")
    expect(chart.get_by_role("button", name="Show table")).to_be_focused()
    page.keyboard.press("Enter")
    expect(table).to_be_visible()
    expect(chart.get_by_role("button", name="Hide table")).to_have_attribute("aria-expanded", "true")
    # A gap is a dash, and no zero.
    expect(table.locator("tbody tr").nth(20).locator("td").first).to_have_text("–")
    page.keyboard.press("Enter")
    expect(table).to_be_hidden()


def test_arrow_keys_walk_along_a_plot_and_the_legend_tells_its_figures(new_page: NewPage) -> None:
    page = new_page(timezone_id="Asia/Tokyo")
    page.goto("/gallery/charts/normal/")
    chart = page.get_by_role("figure", name="Time to hand-off")
    plot = chart.get_by_role("slider")
    plot.focus()
    page.keyboard.press("Home")
    expect(plot).to_have_attribute("aria-valuetext", re.compile(r"^Tue,? 1 Dec,? 00:30: p50 400 ms, p95 1.72 s$"))
    page.keyboard.press("ArrowRight")
    expect(chart.locator("[data-at]")).to_have_text(re.compile("01:00"))
    page.keyboard.press("End")
    page.keyboard.press("ArrowRight")
    expect(plot).to_have_attribute("aria-valuenow", "47")


def test_markers_and_incidents_are_told_in_words_below_the_plot(new_page: NewPage) -> None:
    page = new_page()
    page.goto("/gallery/charts/normal/")
    chart = page.get_by_role("figure", name="Pushes by what became of them")
    expect(chart.get_by_role("list", name="What changed").get_by_role("listitem")).to_have_count(3)
    expect(chart.get_by_role("link", name="Chat first sent apple_rn-v2")).to_be_visible()
    expect(chart.get_by_role("list", name="Incidents")).to_contain_text("Apple answers slowly")


def test_a_part_that_is_exchanged_keeps_the_table_the_place_and_the_focus_and_leaves_no_old_plot(
    new_page: NewPage,
) -> None:
    page = new_page()
    page.goto("/gallery/charts/live/")
    page.get_by_role("button", name="Show table").click()
    plot = page.get_by_role("slider")
    plot.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    value = page.locator("tbody td").first
    before = value.text_content()
    expect(value).not_to_have_text(before or "")
    expect(plot).to_be_focused()
    expect(plot).to_have_attribute("aria-valuenow", "1")
    expect(page.get_by_role("table")).to_be_visible()
    expect(page.locator("canvas")).to_have_count(1)
    assert drawn(page, "--series-1") > 1000


def test_without_script_a_chart_is_its_table(new_page: NewPage) -> None:
    page = new_page(java_script_enabled=False)
    page.goto("/gallery/charts/normal/")
    chart = page.get_by_role("figure", name="Time to hand-off")
    expect(chart.get_by_role("table")).to_be_visible()
    expect(chart.get_by_role("button")).to_have_count(0)
    expect(chart.get_by_role("slider")).to_have_count(0)


def test_a_plot_grows_and_shrinks_with_the_window(new_page: NewPage) -> None:
    page = new_page(viewport=WIDE)
    page.goto("/gallery/charts/normal/")
    page.set_viewport_size(NARROW)
    page.wait_for_function("document.querySelector('[data-plot] .uplot').clientWidth < 390")
    assert_no_sideways_scroll(page)
