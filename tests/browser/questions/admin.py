"""Ada at her browser: she has a question, and finds the answer in at most two clicks from home."""

from re import Pattern
from typing import Final, NamedTuple

from playwright.sync_api import Page, expect

MOST_CLICKS: Final = 2


class Search(NamedTuple):
    """What she types or pastes into the search of the top bar; counts as one click."""

    text: str


class Admin:
    """A browser that is logged in. slug: of her company; faults: what its scripts or policy have complained of."""

    def __init__(self, page: Page, slug: str) -> None:
        self.page, self.home = page, f"/c/{slug}/"
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda line: self.faults.append(line.text) if line.type == "error" else None)

    def reads(self, *clicks: str | Search, sentence: str | Pattern[str]) -> None:
        """From home, `clicks` lead to a page on which this sentence can be seen without scrolling through folds.

        A click is the name of a link or button (the first of that name in the page's main part, else in all of it), or
        a search.
        """
        assert len(clicks) <= MOST_CLICKS, "an answer is two clicks away at most"
        self.page.goto(self.home)
        for click in clicks:
            self._search(click.text) if isinstance(click, Search) else self._press(click)
        self.sees(sentence)

    def sees(self, sentence: str | Pattern[str]) -> None:
        """The sentence stands on the page as it is now, and is shown."""
        expect(self.page.locator("main")).to_contain_text(sentence, use_inner_text=True)

    def _search(self, text: str) -> None:
        self.page.fill("#search", text)
        with self.page.expect_navigation():
            self.page.press("#search", "Enter")

    def _press(self, name: str) -> None:
        for place in (self.page.locator("main"), self.page.locator("body")):
            links = place.get_by_role("link", name=name, exact=True).or_(
                place.get_by_role("button", name=name, exact=True)
            )
            if links.count():
                break
        links.first.click()
        self.page.wait_for_load_state()
