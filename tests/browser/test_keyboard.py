"""The pages of an agreement by keyboard alone: whatever can be used is reached by Tab, in order, visibly, and left."""

from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from tests.billing.invoices.making import SELLER_JSON, billed, issued
from tests.billing.licences import making
from tests.billing.subscriptions.agreed import DAY, seed
from tests.billing.subscriptions.conftest import Facts
from tests.billing.subscriptions.test_applying import begin
from tests.browser.conftest import NewPage
from tests.browser.looks import WIDE
from tests.browser.through_client import ORIGIN, answered_by
from tests.browsing import Browser, member, tenant

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
# Of what has the focus: its place among all elements, whether it can be seen, and how the focus is shown.
FOCUSED = """() => {
    const it = document.activeElement, box = it.getBoundingClientRect(), style = getComputedStyle(it);
    if (it === document.body || it === document.documentElement) return null;
    return {
        place: [...document.querySelectorAll('*')].indexOf(it),
        name: it.outerHTML.slice(0, 120),
        seen: it.checkVisibility() && box.width > 1 && box.height > 1
            && box.top < innerHeight && box.bottom > 0 && box.left < innerWidth && box.right > 0,
        shown: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1 || style.boxShadow !== 'none',
    };
}"""
USABLE = """() => [...document.querySelectorAll('a[href], button, input, select, textarea, summary')].filter(it =>
    it.checkVisibility() && !it.disabled && it.type !== 'hidden' && it.tabIndex >= 0
    && !it.closest('[inert], fieldset:disabled')).map(it => [...document.querySelectorAll('*')].indexOf(it))"""
STEPS_MAX = 150


def test_the_pages_of_an_agreement_are_used_by_keyboard_alone(
    new_page: NewPage, settings: Settings, tmp_path: Path
) -> None:
    settings.SELLER, settings.PUBLIC_URL = SELLER_JSON, "https://push.example.com"
    settings.LICENCE_KEYS = making.key_folder(tmp_path / "issuers")
    seed()
    acme = tenant("Acme")
    begin(acme, "hpns", Facts([], [], []), timezone.now() - 5 * DAY)
    number = issued(billed(acme.customer)).number
    page = new_page(viewport=WIDE, reduced_motion="reduce")
    answered_by(page, Browser().enter(member("ada", acme.customer, "owner")))  # type: ignore[arg-type]
    for path in ("subscription/", "licence/", "invoices/", f"invoices/{number}/"):
        page.goto(f"{ORIGIN}/c/acme/{path}")
        wanted, reached = page.evaluate(USABLE), []
        for _ in range(STEPS_MAX):
            page.keyboard.press("Tab")
            focused = page.evaluate(FOCUSED)
            if focused is None or (reached and focused["place"] == reached[0]):
                break
            assert focused["seen"], f"{path}: {focused['name']}"
            assert focused["shown"], f"{path}: the focus is not shown on {focused['name']}"
            if not reached or reached[-1] != focused["place"]:  # a date has several parts
                reached.append(focused["place"])
        else:
            pytest.fail(f"{path}: no way out of the page within {STEPS_MAX} steps")
        assert reached == sorted(reached), f"{path}: the order is not that of the page"
        assert set(wanted) <= set(reached), f"{path}: {set(wanted) - set(reached)} are not reached"
