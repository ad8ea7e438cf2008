"""Health, metrics and version: by any name, to HEAD, at once, whatever hangs."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import redis
from pytest_django import Settings

from hpns.watching import endpoints, metrics_page, readiness
from hpns.watching.readiness import Observer
from tenants.directory.live import DIRECTORY
from tenants.directory.snapshot import Snapshot
from tests.hpns.watching.asking import Intake, ask, asked, monitoring, no_pages
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db  # what is looked at has tables


@pytest.fixture(autouse=True)
def directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory that has been read."""
    monkeypatch.setattr(DIRECTORY, "problem", "")
    if not DIRECTORY.ready:
        DIRECTORY.install(Snapshot(1, 1.0, {}, [], [], {}, []), "postgres")


@pytest.fixture
def worker(settings: Settings) -> Iterator[None]:
    """A worker that has renewed its lease."""
    with redis.Redis.from_url(settings.REDIS_URL) as valkey:
        valkey.zadd("workers", {"of-this-test": int(valkey.time()[0]) + 600})
        yield
        valkey.zrem("workers", "of-this-test")


@contextmanager
def silent() -> Iterator[int]:
    """The port of a server that accepts and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        accepted: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    accepted.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(PATIENCE)
        for connection in accepted:
            connection.close()


async def known(observer: Observer) -> readiness.Health:
    """What is known after the first look."""
    task = asyncio.create_task(observer.observe())
    async with asyncio.timeout(PATIENCE):
        while not all(look.at for look in observer._looks):
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    return observer.health()


@pytest.mark.parametrize("path", ["/health/live", "/version", "/t/hk_x/version", "/metrics"])
def test_they_answer_by_any_name_and_to_head(path: str) -> None:
    for host in ("10.0.3.17:8066", "evil.example", ""):
        found, head = (asked(path, method, headers={"host": host}) for method in ("GET", "HEAD"))
        assert (found.status, head.status) == (200, 200)
        assert (head.body, head.headers["content-type"]) == (b"", found.headers["content-type"])


@pytest.mark.parametrize("path", ["/health/ready", "/health/live", "/version", "/metrics"])
def test_another_method_is_told_which_will_do(path: str) -> None:
    found = asked(path, "POST")
    assert (found.status, found.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path", ["/", "/health", "/health/live/", "/t/hk_x", "/t/a/b/version", "/version/", "/t//version/x", "/metrics/"]
)
def test_whatever_else_is_a_page(path: str) -> None:
    assert asked(path).status == 599


def test_before_the_first_look_nobody_is_told_that_it_is_ready() -> None:
    found = asked("/health/ready")
    assert found.status == 503
    assert "not been looked at yet" in json.loads(found.body)["missing"][0]


async def test_a_process_whose_stores_answer_is_ready(worker: None) -> None:
    observer = Observer(Intake(), no_pages)
    health = await known(observer)
    assert (health.missing, health.amiss, health.workers) == ([], [], 1)
    found = await ask(monitoring(observer), "/health/ready")
    assert (found.status, json.loads(found.body)["status"]) == (200, "ready")


async def test_a_database_that_hangs_is_amiss_and_nobody_waits_for_it(
    worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "LOOK_SECONDS", 0.3)
    with silent() as port:
        hanging = {"host": "127.0.0.1", "port": port, "user": "nobody", "dbname": "none"}
        monkeypatch.setattr(
            readiness, "connections", {"default": type("Nobody", (), {"get_connection_params": lambda _: hanging})()}
        )
        observer = Observer(Intake(), no_pages)
        health = await known(observer)
        assert health.missing == []
        assert health.amiss == ["the database does not answer (TimeoutError): pushes go on, pages and the log wait"]
        assert (await ask(monitoring(observer), "/health/ready")).status == 200


async def test_a_queue_that_hangs_is_missing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "LOOK_SECONDS", 0.3)
    with silent() as port:
        settings.REDIS_URL = settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{port}/0"
        health = await known(Observer(Intake(), no_pages))
    assert len(health.missing) == 1
    assert health.missing[0].startswith("the queue (Valkey) does not answer: Timeout")


async def test_news_that_are_too_old_are_bad_news(worker: None, monkeypatch: pytest.MonkeyPatch) -> None:
    observer = Observer(Intake(), no_pages)
    assert (await known(observer)).missing == []
    monkeypatch.setattr(readiness, "STALE_SECONDS", 0.0)
    (text,) = observer.health().missing
    assert text.startswith("the queue and the workers have not been looked at for")


async def test_a_look_at_the_database_that_does_not_end_holds_up_no_other_and_its_age_keeps_no_push_from_being_taken(
    worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "LOOK_INTERVAL", 0.01)
    observer = Observer(Intake(), no_pages)
    at_valkey, at_database, at_pages = observer._looks
    stuck = asyncio.Event()

    async def hanging(_health: readiness.Health) -> None:
        if at_database.at:
            stuck.set()
            await asyncio.Event().wait()

    monkeypatch.setattr(at_database, "look", hanging)
    task = asyncio.create_task(observer.observe())
    async with asyncio.timeout(PATIENCE):
        await stuck.wait()
        since = asyncio.get_running_loop().time()
        while min(at_valkey.at, at_pages.at) <= since:
            await asyncio.sleep(0.01)
    at_database.at -= 3600
    health = observer.health()
    assert health.missing == []
    assert health.amiss == ["the database's tables have not been looked at for 10 s"]
    task.cancel()
    await asyncio.wait([task])
    at_valkey.at -= 3600
    assert observer.health().missing == ["the queue and the workers have not been looked at for 10 s"]


async def test_a_look_that_keeps_its_cancellation_to_itself_ends_all_the_same(
    worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    observer = Observer(Intake(), no_pages)
    _, at_database, at_pages = observer._looks

    async def swallowing(_health: readiness.Health) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    monkeypatch.setattr(at_database, "look", swallowing)
    task = asyncio.create_task(observer.observe())
    async with asyncio.timeout(PATIENCE):
        while not at_pages.at:
            await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        while any(each.get_name().startswith("the look at") for each in asyncio.all_tasks()):
            await asyncio.sleep(0.01)


async def test_pages_that_are_gone_are_amiss_and_pushes_go_on(worker: None) -> None:
    async def gone(_seconds: float) -> str:
        return "the pages process does not answer (ClientConnectorError)"

    health = await known(Observer(Intake(), gone))
    assert health.missing == []
    assert health.amiss == ["there are no pages: the pages process does not answer (ClientConnectorError)"]


async def test_a_connection_that_asks_without_a_pause_is_slowed_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoints, "PACE_SECONDS", 0.2)
    application = monitoring()
    began = asyncio.get_running_loop().time()
    for _ in range(3):
        assert (await ask(application, "/health/live", port=7)).status == 200
    assert asyncio.get_running_loop().time() - began >= 0.4
    monkeypatch.setattr(endpoints, "PACE_SECONDS", 60)
    # Others do not wait for it, and those that are remembered are bounded.
    monkeypatch.setattr(endpoints, "PACED_MAX", 5)
    for _ in range(9):
        async with asyncio.timeout(PATIENCE):
            assert (await ask(application, "/health/live")).status == 200
    assert len(application._answered_at) == 5


async def test_metrics_are_rendered_once_for_all_who_ask_within_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = [], threading.Event()

    def render() -> tuple[bytes, str]:
        begun.append(threading.current_thread().name)
        go_on.wait(PATIENCE)
        return b"metrics", "text/plain"

    monkeypatch.setattr(metrics_page, "render", render)
    application = monitoring()
    asking = [asyncio.create_task(ask(application, "/metrics")) for _ in range(5)]
    await asyncio.sleep(0)
    # It is rendered beside the loop: others are answered meanwhile.
    assert (await ask(application, "/health/live")).status == 200
    go_on.set()
    assert {(await each).body for each in asking} == {b"metrics"}
    assert (await ask(application, "/metrics")).body == b"metrics"
    assert len(begun) == 1
    assert begun[0].startswith("metrics")
