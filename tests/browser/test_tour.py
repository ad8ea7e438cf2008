"""The tour: staff take a customer on, its first owner comes by the e-mail, and a test push is on the phone page.

Everything is real: the service's processes, its stores, the e-mail as a file, the sandbox and its phones, a browser.
"""

import csv
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.looks import WIDE, assert_accessible, assert_no_sideways_scroll
from tests.stage import Stage, running_stage
from tests.tenants.accounts.test_second_factor import code
from tests.waiting import PATIENCE, wait_for

PASSWORD: Final = "correct horse battery staple"
ADA: Final = "ada@newcomer.example"
# What staff and the customer are promised: taken on in two minutes, pushing within five.
TAKEN_ON, PUSHING = 120, 300


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a file for each e-mail."""
    return tmp_path_factory.mktemp("post")


@pytest.fixture(scope="module")
def stage(browser: Browser, post: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A whole service; none is started where there is no browser."""
    with running_stage(tmp_path_factory.mktemp("tour"), EMAIL_URL=f"filemail:///{post}") as running:
        yield running


class Visitor:
    """Somebody with a browser of their own, who looks closely at each page of ours."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.looks = 0
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda line: self.faults.append(line.text) if line.type == "error" else None)

    def look(self) -> None:
        """Hold the page against what all are held against; of Django's admin, only that no script fails there."""
        if "/admin/" not in self.page.url:
            assert_accessible(self.page)
            assert_no_sideways_scroll(self.page)
        assert self.faults == [], self.page.url
        self.looks += 1

    def go(self, address: str) -> None:
        """Open an address."""
        self.page.goto(address)
        self.look()

    def press(self, name: str) -> None:
        """Press the button or link of this name, which leads to another page."""
        main = self.page.locator("main")
        found = main.get_by_role("button", name=name, exact=True).or_(main.get_by_role("link", name=name, exact=True))
        with self.page.expect_navigation():
            found.last.click()
        self.look()

    def fill(self, **values: str) -> None:
        """Fill in fields by their names."""
        for name, value in values.items():
            self.page.fill(f"main [name={name}]", value)


@pytest.fixture
def visitor(browser: Browser, stage: Stage) -> Iterator[Callable[[], Visitor]]:
    """Makes somebody who comes along."""
    contexts = []

    def make() -> Visitor:
        contexts.append(browser.new_context(base_url=f"http://127.0.0.1:{stage.port}", viewport=WIDE))
        return Visitor(contexts[-1].new_page())

    yield make
    for context in contexts:
        context.close()


def link(post: Path, to: str) -> str:
    """The invitation's link, out of the e-mail to this address."""

    def found() -> str:
        texts = [file.read_text(encoding="utf-8") for file in post.iterdir()]
        links = [
            re.findall(r"^http://\S+/invitation/\S+$", text, re.MULTILINE) for text in texts if f"To: {to}" in text
        ]
        return links[0][0] if links and links[0] else ""

    return str(wait_for(found, PATIENCE, f"an e-mail to {to}"))


def enter(sam: Visitor, stage: Stage) -> None:
    """Sam's first day: the password by the link that the command prints, and the second factor."""
    sam.go(json.loads(stage.manage("staff", "add", "--email", "sam@operator.example"))["password_link"])
    sam.fill(password1=PASSWORD, password2=PASSWORD)
    sam.page.locator("main form button").last.click()
    sam.page.wait_for_load_state()
    sam.go("/admin/")
    sam.fill(login="sam@operator.example", password=PASSWORD)
    sam.press("Log in")
    sam.press("Use an authenticator app")
    sam.fill(code=code(sam.page.inner_text("main code")))
    sam.press("Activate")


def take_on(sam: Visitor) -> None:
    """The one form."""
    sam.go("/admin/tenants/customer/add/")
    sam.fill(name="Newcomer", owner_email=ADA, server_name="chat.newcomer.example")
    sam.page.select_option("[name=offer]", "eas")
    sam.press("Save")
    expect(sam.page.get_by_text(f"An invitation was sent to {ADA}.")).to_be_visible()


def join(ada: Visitor, invitation: str) -> None:
    """From the e-mail to the home page."""
    ada.go(invitation)
    ada.press("Go on")
    ada.fill(first_name="Ada", password1=PASSWORD, password2=PASSWORD)
    ada.press("Make account")
    expect(ada.page.get_by_text("4 of 5 steps to go")).to_be_visible()


def set_up(ada: Visitor, stage: Stage) -> str:
    """A key, an app and its credential, as the checklist leads to them; the key."""
    ada.press("Make key")
    ada.press("Make key")
    key = re.search(r"/t/(hk_[\w-]+)", ada.page.inner_text("main"))
    ada.press("I have stored it")
    ada.go("/c/newcomer/")
    ada.press("Set up app")
    ada.fill(topic="com.mattermost.rn")
    ada.press("Add app")
    ada.page.set_input_files("[name=file]", stage.sandbox.demo.apns_key)
    ada.fill(team_id=stage.sandbox.demo.team_id)
    ada.press("Upload")
    expect(ada.page.get_by_text("Apple accepts this key")).to_be_visible()
    assert key is not None
    return key[1]


def try_out(ada: Visitor, stage: Stage) -> None:
    """A test push, which is then on the phone page."""
    ada.go("/c/newcomer/test/")
    ada.press("Send test push")
    expect(ada.page.get_by_text("The server was told OK")).to_be_visible()
    ada.look()
    ada.press("look at its phones")
    expect(ada.page.locator(".iphone .card .text").first).to_contain_text("Newcomer: This is a test push.")


def test_from_the_staffs_form_to_the_first_push_on_the_phone(
    stage: Stage, visitor: Callable[[], Visitor], post: Path, record_property: Callable[[str, object], None]
) -> None:
    sam, ada = visitor(), visitor()
    enter(sam, stage)
    begun = time.monotonic()
    take_on(sam)
    invitation = link(post, ADA)
    taken_on = time.monotonic() - begun
    join(ada, invitation)
    key = set_up(ada, stage)
    try_out(ada, stage)
    pushing = time.monotonic() - begun - taken_on
    record_property(
        "count",
        f"Tour: taken on in {taken_on:.1f} s, invitation to test push on the phone in {pushing:.1f} s, "
        f"{sam.looks + ada.looks} pages looked at",
    )
    assert taken_on < TAKEN_ON
    assert pushing < PUSHING

    # Our own push is no sign that Mattermost knows the key; the first of the server's own is.
    ada.go("/c/newcomer/")
    expect(ada.page.get_by_role("heading", name="To your next push")).to_be_visible()
    ada.press("Show server")
    expect(ada.page.get_by_text("No push has arrived yet")).to_be_visible()
    assert stage.push(key=key) == {"status": "OK"}
    expect(ada.page.get_by_text("Pushes have come in")).to_be_visible()
    ada.look()

    ada.go("/c/newcomer/audit/")
    with ada.page.expect_download() as download:
        ada.page.get_by_role("link", name="Download as CSV").click()
    with download.value.path().open(encoding="utf-8", newline="") as file:
        actions = {row["action"] for row in csv.DictReader(file)}
    assert {"customer.add", "invitation.accept", "key.add", "credential.add"} <= actions
