"""What each page is held against in a browser: accessible, nothing from elsewhere, no wider than the screen, light."""

import functools
import json
import time
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page

AXE: Final = Path(__file__).parent / "vendor" / "axe-4.14.1.min.js"
WIDE: Final = {"width": 1280, "height": 800}
NARROW: Final = {"width": 390, "height": 844}
NARROWEST: Final = {"width": 320, "height": 640}
# Seconds within which a chart follows the window, on a busy machine.
DRAWN_AFTER: Final = 30.0

# A link of Django's takes 0.15 s from one colour to another, and has the contrast of neither meanwhile.
_LOOK: Final = """async (options) => {
    const fading = document.getAnimations().filter((each) => each instanceof CSSTransition);
    await Promise.allSettled(fading.map((each) => each.finished));
    return (await axe.run(document, options)).violations;
}"""


def assert_accessible(page: Page, *, colours_only: bool = False) -> None:
    """axe-core finds nothing on the page as it is now; what it finds is told with its place.

    `colours_only`: for a page of which all else has been looked at, and only the colours have changed.
    """
    # By the debugger's way in: the page's policy allows no script but its own. What the page goes to next has it from
    # its beginning, for a third of the cost.
    if not page.evaluate("'axe' in window"):
        page.evaluate(_axe())
        page.add_init_script(_axe())
    # What it has found in order is not told with all its places, which takes a third of the time.
    options: dict[str, Any] = {"resultTypes": ["violations"], "selectors": False}
    if colours_only:
        options["runOnly"] = ["color-contrast"]
    found: list[dict[str, Any]] = page.evaluate(_LOOK, options)
    violations = [
        f"{one['id']}: {one['help']}: {json.dumps([node['html'][:200] for node in one['nodes'][:3]])}" for one in found
    ]
    assert not violations, "\n".join(violations)


@functools.cache
def _axe() -> str:
    return AXE.read_text(encoding="utf-8") + ";undefined"


def assert_no_sideways_scroll(page: Page) -> None:
    """The page is no wider than the window, as soon as what follows the window, such as a chart, is drawn anew."""
    script = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    until = time.monotonic() + DRAWN_AFTER
    wide, window = page.evaluate(script)
    while wide > window and time.monotonic() < until:
        page.wait_for_timeout(50)
        wide, window = page.evaluate(script)
    assert wide <= window, f"the page is {wide} px wide in a window of {window} px: {wider(page)}"


def wider(page: Page) -> list[str]:
    """The elements that reach out of the window, for the one who has to find out why."""
    script = """() => [...document.querySelectorAll('body *')]
        .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5)
        .map(e => `${e.tagName}.${e.className}`)"""
    found: list[str] = page.evaluate(script)
    return found


def layout_shift(page: Page) -> float:
    """How much has moved by itself since the page came, as browsers count it (CLS)."""
    script = """() => new Promise((done) => {
        let sum = 0;
        new PerformanceObserver((list) => { for (const e of list.getEntries()) if (!e.hadRecentInput) sum += e.value; })
            .observe({ type: "layout-shift", buffered: true });
        setTimeout(() => done(sum), 300);
    })"""
    shifted: float = page.evaluate(script)
    return shifted


class Traffic:
    """What a page has fetched since this was made: bytes over the wire, and from where."""

    def __init__(self, page: Page) -> None:
        """Listens from now on."""
        self.urls: list[str] = []
        self.bytes = 0
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.send("Network.setCacheDisabled", {"cacheDisabled": True})
        session.on("Network.requestWillBeSent", lambda event: self.urls.append(event["request"]["url"]))
        session.on("Network.loadingFinished", self._finished)

    def _finished(self, event: dict[str, Any]) -> None:
        self.bytes += int(event["encodedDataLength"])
