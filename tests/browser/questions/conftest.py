"""The one service that all questions are asked of, and who asks."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.looks import WIDE
from tests.browser.questions.admin import Admin
from tests.browser.questions.companies import Companies
from tests.browser.questions.company import Company
from tests.stage import Stage, running_stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A whole service for all files of questions: tests/schedule.py keeps them in one process."""
    with running_stage(tmp_path_factory.mktemp("questions")) as running:
        yield running


@pytest.fixture(scope="session")
def companies(stage: Stage) -> Companies:
    """Customers of the service, for tests that need several."""
    return Companies(stage)


@pytest.fixture
def company(companies: Companies) -> Iterator[Company]:
    """A customer of this test's own, with nothing sent yet; its providers are well again afterwards."""
    stage = companies.stage
    yield companies.found()
    if stage.sandbox.state()["mode"] != "up":
        stage.sandbox.mode("up")
    stage.sandbox.clear_scripts()
    with stage.redis() as valkey:  # else the keys of all questions together are an incident of their provider
        for refused in valkey.scan_iter("credentials:refused:*"):
            valkey.delete(refused)


@pytest.fixture
def ada(browser: Browser, stage: Stage) -> Iterator[Callable[[Company], Admin]]:
    """Makes Ada, who owns a company and sits at a browser, logged in; a fault of a page's script fails the test."""
    made: list[Admin] = []

    def enter(company: Company) -> Admin:
        address = f"http://127.0.0.1:{stage.port}"
        context = browser.new_context(base_url=address, viewport=WIDE)
        context.add_cookies([{"name": "sessionid", "value": company.session, "url": address}])
        made.append(Admin(context.new_page(), company.slug))
        return made[-1]

    yield enter
    for admin in made:
        admin.page.context.close()
    assert [fault for admin in made for fault in admin.faults] == []
