"""The tour of the promise: staff take an E1 customer on, who proves its server and its licence by itself; a month goes
by with an outage of ours in it, is sealed, verified by the downloaded program and credited unasked, also on paper.

Everything is real but the days: the service's processes, its stores, the Mattermost site's TLS and signatures, a
browser; the timetable's functions are called with the times of the days (thirty_days.py).
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pypdf
import pytest
from playwright.sync_api import Browser, expect

from billing.facts import Month
from delivery.sandbox import certificates
from hpns.local import demo_licences
from hpns.local.demo_names import CUSTOMER, SELLER
from hpns.local.mattermost_site import Installation, Site
from tests.browser.looks import WIDE
from tests.browser.test_tour import PASSWORD, Visitor, enter, link
from tests.browser.thirty_days import PAYER, tour_month
from tests.stage import Stage, a_push, running_stage

SLUG: Final = CUSTOMER.lower()
ADA: Final = "ada@demo.example"
NOW: Final = datetime.now(UTC)
MONTH: Final = tour_month(NOW.date())
# For whoever wants to look at it: SHOTS=/some/folder bin/test tests/browser/test_promise_tour.py
SHOTS: Final = os.environ.get("SHOTS", "")
IN_STAGE: Final = """
import json, sys
from billing.facts import Month
from tests.browser import thirty_days
print(json.dumps(getattr(thirty_days, sys.argv[1])(sys.argv[2], Month(*map(int, sys.argv[3:])))))
"""


@pytest.fixture(scope="module")
def post(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a file for each e-mail."""
    return tmp_path_factory.mktemp("post")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The customer's Mattermost site, which runs with the licence."""
    folder = tmp_path_factory.mktemp("site")
    certificates.ensure(folder)
    home = Installation()
    with Site(0, folder / "server.pem", folder / "server.key", installation=home) as made:
        made.ca_file = str(folder / certificates.CA_FILE)  # type: ignore[attr-defined]
        thread = threading.Thread(target=made.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join(5)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with the demo's licences, of the month's first days."""
    folder = tmp_path_factory.mktemp("state")
    demo_licences.write(folder, datetime(*MONTH, 2, tzinfo=UTC))
    return folder


@pytest.fixture(scope="module")
def stage(
    browser: Browser, post: Path, site: Site, state: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A whole service; none is started where there is no browser."""
    with running_stage(
        tmp_path_factory.mktemp("promise"),
        EMAIL_URL=f"filemail:///{post}",
        LICENCE_KEYS=str(demo_licences.issuers(state)),
        SITE_PRIVATE_NETWORKS="127.0.0.0/8,::1/128",
        SITE_CA_FILE=site.ca_file,  # type: ignore[attr-defined]
        SELLER=SELLER,
    ) as running:
        yield running


class Guest(Visitor):
    """A visitor who takes pictures on request."""

    def see(self, address: str, *texts: str, name: str = "") -> None:
        """Open a page, on which these texts stand."""
        self.go(address)
        for text in texts:
            expect(self.page.locator("main")).to_contain_text(text)
        self.shoot(name or address.strip("/").replace("/", "-").replace("?", "-"))

    def shoot(self, name: str) -> None:
        """Keep the page as a picture, where somebody wants to see it."""
        if SHOTS:
            self.page.screenshot(path=str(Path(SHOTS) / f"{name}.png"), full_page=True)

    def download(self, address: str, to: Path) -> Path:
        """Fetch a file as this visitor."""
        answer = self.page.context.request.get(address)
        assert answer.ok, (address, answer.status)
        to.write_bytes(answer.body())
        return to


@pytest.fixture
def guest(browser: Browser, stage: Stage) -> Iterator[Callable[[], Guest]]:
    """Makes somebody who comes along."""
    contexts = []

    def make() -> Guest:
        contexts.append(browser.new_context(base_url=f"http://127.0.0.1:{stage.port}", viewport=WIDE))
        return Guest(contexts[-1].new_page())

    yield make
    for context in contexts:
        context.close()


def told(stage: Stage, function: str, month: Month = MONTH) -> dict[str, Any]:
    """What a function of thirty_days.py says in the service's environment."""
    done: dict[str, Any] = json.loads(stage.run("-c", IN_STAGE, function, SLUG, *map(str, month)))
    return done


def take_on(sam: Guest) -> None:
    """The one form, for both customers."""
    for name, owner in ((CUSTOMER, ADA), (PAYER, "petra@fabrikam.example")):
        sam.go("/admin/tenants/customer/add/")
        sam.fill(name=name, owner_email=owner, server_name=f"chat.{name.lower()}.example")
        sam.page.select_option("[name=offer]", "hpns")
        sam.press("Save")
        expect(sam.page.get_by_text(f"An invitation was sent to {owner}.")).to_be_visible()


def join(ada: Guest, invitation: str) -> None:
    """From the e-mail to the home page."""
    ada.go(invitation)
    ada.press("Go on")
    ada.fill(first_name="Ada", password1=PASSWORD, password2=PASSWORD)
    ada.press("Make account")
    expect(ada.page.get_by_role("heading", level=1)).to_be_visible()


def prove_server(ada: Guest, stage: Stage, site: Site) -> None:
    """The site's documents are fetched, and a push that is signed by its key comes with the customer's."""
    made = stage.manage("key", "add", "--customer", SLUG, "--server", f"chat.{SLUG}.example")
    ada.go(f"/c/{SLUG}/servers/")
    ada.page.get_by_role("link", name=f"chat.{SLUG}.example").first.click()
    part = ada.page.locator("section[aria-labelledby=identity]")
    expect(part).to_be_visible()
    server = ada.page.url
    part.get_by_text("Fetch its site", exact=True).click()
    part.get_by_label("Address of the site").fill(site.url)
    part.get_by_role("button", name="Fetch the site's documents").click()
    expect(part).to_contain_text("Its site was read.")
    ada.shoot("server-seen")
    push = site.installation.signed(a_push())
    stage.push(key=json.loads(made)["key"], **push)

    def proven() -> bool:
        ada.page.goto(server)
        return "Its pushes are signed with the key of localhost" in part.inner_text()

    until = datetime.now(UTC) + timedelta(seconds=20)
    while not proven():
        assert datetime.now(UTC) < until, part.inner_text()
        ada.page.wait_for_timeout(500)
    ada.look()
    ada.shoot("server-proven")


def upload_licence(ada: Guest, state: Path) -> None:
    """The demo's E1 licence; what it includes begins by itself."""
    ada.see(f"/c/{SLUG}/licence/", "No licence is proven yet.", name="licence-none")
    ada.page.set_input_files("[name=file]", demo_licences.folder(state) / f"e1{demo_licences.ENDING}")
    if ada.page.locator("main select[name=server]").count():
        ada.page.select_option("main select[name=server]", label=f"chat.{SLUG}.example")
    ada.press("Prove licence")
    main = ada.page.locator("main")
    expect(main).to_contain_text("Proven: Professional for 250 users")
    expect(main).to_contain_text("begins by itself within a minute")
    ada.shoot("licence-proven")


def verify(ada: Guest, folder: Path) -> dict[str, Any]:
    """The month by the program that anybody downloads, which has nothing but Python and what was downloaded."""
    ada.see(
        f"/c/{SLUG}/sla/?month={MONTH.first:%Y-%m}",
        "Was the promise kept in",
        "10 %, 49.90 EUR",
        name="sla-month",
    )
    files = ada.download(f"/c/{SLUG}/sla/files/{MONTH.first:%Y-%m}.zip", folder / "month.zip")
    program = ada.download("/sla/verify_sla.py", folder / "verify_sla.py")
    roots = ada.download("/.well-known/hpns-sla.json", folder / "hpns-sla.json")
    command = [sys.executable, "-I", "-S", program, files, "--roots", roots, "--price", "49900"]
    done = subprocess.run(command, cwd=folder, env={}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    text, _, verdict = done.stdout.rpartition("}\n")
    assert verdict.strip() == "VERIFIED"
    found: dict[str, Any] = json.loads(text + "}")
    return found


def paper(pdf: Path, name: str) -> str:
    """What stands on a PDF, in one line; a picture of it where somebody wants to see it."""
    if SHOTS:
        subprocess.run(["pdftoppm", "-png", "-r", "80", pdf, Path(SHOTS) / name], check=True, timeout=30)
    return " ".join(" ".join(page.extract_text() for page in pypdf.PdfReader(pdf).pages).split())


def issue_next(sam: Guest) -> str:
    """Staff issue the next invoice of the paying customer, after a look at what it will be; its number."""
    sam.go("/admin/billing/invoicedraft/")
    sam.shoot("admin-drafts")
    row = sam.page.locator("#result_list tbody tr", has_text=PAYER).first
    row.locator("input.action-select").check()
    sam.page.select_option("select[name=action]", "issue")
    with sam.page.expect_navigation():
        sam.page.get_by_role("button", name="Run").or_(sam.page.get_by_role("button", name="Go")).first.click()
    sam.look()
    expect(sam.page.locator("main")).to_contain_text("SLA credit")
    sam.shoot("admin-issue")
    with sam.page.expect_navigation():
        sam.page.locator("main form button[type=submit], main form input[type=submit]").first.click()
    sam.shoot("admin-issued")
    found = re.search(r"INV-\d{4}-\d{5}", sam.page.inner_text("main"))
    assert found is not None
    return found[0]


def test_from_taking_on_to_the_credit_on_paper(
    stage: Stage, guest: Callable[[], Guest], post: Path, site: Site, state: Path, tmp_path: Path
) -> None:
    sam, ada = guest(), guest()
    enter(sam, stage)
    take_on(sam)
    join(ada, link(post, ADA))
    prove_server(ada, stage, site)
    stage.kill("beat")  # from here on the clock is the test's
    upload_licence(ada, state)

    assert told(stage, "begin") == {"begun": [1, 0], "plan": "e1", "state": "active"}
    ada.see(f"/c/{SLUG}/subscription/", "E1 included", name="subscription")
    told(stage, "run")

    found = verify(ada, tmp_path)
    assert (found["bad_minutes"], found["credit_percent"], found["credit_minor"]) == (50, 10, 4_990)
    ada.see(f"/c/{SLUG}/usage/{MONTH.first:%Y-%m}/", f"chat.{SLUG}.example", "Closed", name="usage-month")
    ada.see(f"/c/{SLUG}/invoices/", "49.90 EUR", name="invoices-included")
    statement = ada.page.get_by_role("link", name=re.compile(r"^ST-")).first.inner_text()
    ada.see(f"/c/{SLUG}/invoices/{statement}/", "Included in your Mattermost licence", "49.90 EUR", name="statement")
    said = paper(ada.download(f"/c/{SLUG}/invoices/{statement}.pdf", tmp_path / "statement.pdf"), "statement-pdf")
    assert statement in said
    assert f"E1 included, {MONTH.first:%B %Y}" in said
    assert "Included in your Mattermost licence" in said
    assert "1 server" in said
    assert "to 7 active devices" in said
    assert "49.90 EUR" in said

    number = issue_next(sam)
    payer = PAYER.lower()
    ada.see(f"/c/{payer}/invoices/{number}/", "SLA credit for", "-49.90", name="invoice-paying")
    said = paper(ada.download(f"/c/{payer}/invoices/{number}.pdf", tmp_path / "invoice.pdf"), "invoice-pdf")
    assert number in said
    assert "HPNS stand-alone, 1 month" in said
    assert f"SLA credit for {MONTH.first:%B %Y} (10 %)" in said
    assert "534.43" in said  # 499.00 less 49.90, with 19 % of tax

    sam.go("/admin/boards/sla/")
    sam.shoot("board-sla")
    sam.see("/status/", name="status")
    ada.see(f"/c/{SLUG}/subscription/", "E1 included", name="subscription-after")
