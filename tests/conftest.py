"""What all tests share: the stores that bin/test started, a Valkey database that is empty for each test, and a customer
whose owner has a browser.
"""

import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
import redis
from django.core.cache import cache, caches
from django.db import connection, transaction
from pytest_django import DjangoDbBlocker, Settings
from whitenoise.middleware import WhiteNoiseMiddleware
from xdist.scheduler import Scheduling

import hpns.celery  # noqa: F401  the app that the tasks belong to, as in every process of the service
from billing import customers
from hpns import settings_test
from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.process import Child
from hpns.local.valkey import Valkey
from tenants.models import Customer
from tests import cluster, last_words, schedule, stage
from tests.browsing import Browser, browser
from tests.faults.pushes import replace_worker
from tests.stage import Stage, running_stage
from tests.waiting import PATIENCE, wait_for

# A busy machine must not fail a test: what an example takes says nothing about what it shows.
hypothesis.settings.register_profile("hpns", deadline=None)
hypothesis.settings.load_profile("hpns")


@pytest.fixture(scope="session", autouse=True)
def static_files_are_looked_for_once() -> Iterator[None]:
    """Give each test's client what the first one's middleware has found: the search is a tenth of a second's work."""
    search, found = WhiteNoiseMiddleware.add_files_from_finders, {}

    def take(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            search(middleware)
            found.update(middleware.files)
        middleware.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", take)
        yield


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """Have each process of pytest-xdist copy its database; Django then finds all migrations applied.

    Otherwise each would apply them itself, for four seconds of processor time.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        connection.settings_dict["TEST"]["TEMPLATE"] = cluster.template()


@pytest.fixture(scope="session")
def own_valkey() -> Iterator[str]:
    """The URL of a Valkey of this test process alone: a test that fills it is in no other's way."""
    home = Path(tempfile.mkdtemp(prefix="hpns-valkey-"))
    home.chmod(0o755)
    server = Valkey(Folder(home / "own", for_servers()), "tests", fast=True)
    child = Child(server.spec())
    try:
        wait_for(server.spec().ready, PATIENCE, "Valkey serves")
        yield server.url
    finally:
        child.kill()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def valkey_url(own_valkey: str) -> Iterator[str]:
    """The URL of a Valkey database of this test's own, emptied before and after."""
    # One database for each process of pytest-xdist ("gw0", "gw1" ...); other tests have numbers of their own.
    url = f"{own_valkey.rpartition('/')[0]}/2"
    with redis.Redis.from_url(url) as valkey:
        valkey.flushdb()
        yield url
        valkey.flushdb()


@pytest.fixture
def valkey(settings: Settings, own_valkey: str) -> Iterator[redis.Redis]:
    """An empty database of a real Valkey; settings.REDIS_URL names it."""
    settings.REDIS_URL = f"{own_valkey.rpartition('/')[0]}/8"
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()
        cache.clear()
        yield client
        client.flushdb()


@pytest.fixture
def customer(db: None, valkey: redis.Redis) -> Customer:
    """Acme, with nothing yet."""
    return customers.add(name="Acme", offer="eas").row


@pytest.fixture
def ada(customer: Customer) -> Browser:
    """The browser of Ada, who owns Acme."""
    return browser(customer, "owner")


@pytest.fixture(scope="module")
def kept_rows(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """A transaction around a module's tests: what a module's fixture makes in it is there in each of them.

    Each test changes it in a savepoint of its own. Not for a module with tests that end transactions.
    """
    with django_db_blocker.unblock(), transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture(scope="session")
def one_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A whole service whose one worker sends all, for those who leave it as they found it; use it as `service`."""
    with running_stage(tmp_path_factory.mktemp("faults"), DELIVER_FROM="workers") as running:
        yield running


@pytest.fixture(scope="module")
def service(one_service: Stage) -> Iterator[Stage]:
    """The shared service with its usual worker; afterwards its providers are well and forget what they were to say."""
    worker = one_service.children.get("worker")
    if worker is None or worker.spec.env != one_service.env:
        replace_worker(one_service)
    yield one_service
    one_service.sandbox.mode("up")
    one_service.sandbox.clear_scripts()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[pytest.TestReport]:
    """With a test that has failed goes what the services of its process have logged last."""
    report = yield
    if report.failed:
        for number, running in enumerate(stage.RUNNING, 1):
            report.sections.append((f"Service {number} of this process", last_words.of(running.children)))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """End the services of tests that stay together after the last of them: else they use the processor to the end."""
    yield
    if nextitem is not None and schedule.scope(nextitem.nodeid) != schedule.scope(item.nodeid):
        while stage.RUNNING:
            stage.RUNNING.pop().close()


def pytest_configure(config: pytest.Config) -> None:
    """Make room for what all processes of this run share; in the first of them alone."""
    gc.set_threshold(20_000, 50, 100)  # as in the service's own processes
    if not hasattr(config, "workerinput"):
        cluster.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing of it."""
    if not hasattr(config, "workerinput"):
        cluster.end()


@pytest.hookimpl(optionalhook=True)
def pytest_forked(number: int) -> None:
    """Give the process a cache of its own, as hpns/settings_test.py gives to those of pytest-xdist."""
    caches.settings["default"]["LOCATION"] = settings_test.cache_url(number + 1)
    for alias in caches:
        if hasattr(caches._connections, alias):  # made before the fork, with the parent's
            del caches[alias]


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    """Give out the tests as tests/schedule.py says."""
    return schedule.Together(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest."""
    schedule.order(items)


def pytest_collection_finish() -> None:
    """Let the garbage collector leave out what has been imported and collected: it stays to the end.

    Otherwise each full collection walks through half a million objects, and a test that makes many causes several.
    """
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what tests have counted; what a test prints is lost in pytest-xdist's processes."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                if name == "count":
                    terminalreporter.write_line(str(value))
