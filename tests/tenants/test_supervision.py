"""A background task that ends is restarted, and everybody can see that it had to be."""

import asyncio
import logging
from collections.abc import Iterator

import pytest

from delivery.metrics import counting
from hpns.watching.readiness import Observer
from tenants import supervision
from tenants.supervision import supervise
from tests.hpns.watching.asking import Intake, no_pages
from tests.waiting import PATIENCE


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restart at once, and count from zero."""
    monkeypatch.setattr(supervision, "BACKOFF_MIN", 0.01)
    supervision.collect_restarts()
    yield
    supervision.collect_restarts()


async def ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, PATIENCE)


async def test_a_task_that_fails_is_logged_and_restarted(caplog: pytest.LogCaptureFixture) -> None:
    runs = 0
    second = asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise ValueError("a fault of the test")
        second.set()
        await asyncio.Event().wait()

    task = supervise("the keeper", work)
    await asyncio.wait_for(second.wait(), PATIENCE)
    assert "the keeper failed, to be restarted" in caplog.text
    assert "a fault of the test" in caplog.text
    assert supervision.collect_restarts() == {"the keeper": 1}
    await ended(task)


async def test_a_task_that_ends_by_itself_is_restarted(caplog: pytest.LogCaptureFixture) -> None:
    runs = 0
    third = asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 3:
            third.set()

    task = supervise("the keeper", work)
    await asyncio.wait_for(third.wait(), PATIENCE)
    assert "the keeper has ended by itself" in caplog.text
    await ended(task)


async def test_it_is_not_restarted_faster_than_the_backoff_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "BACKOFF_MIN", 0.1)
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        raise ValueError

    task = supervise("the keeper", work)
    await asyncio.sleep(0.5)
    assert 2 <= runs <= 4
    await ended(task)


async def test_a_cancellation_ends_it_though_the_work_has_swallowed_it() -> None:
    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    task = supervise("the keeper", work)
    await asyncio.sleep(0)
    await ended(task)
    assert supervision.collect_restarts() == {}
    assert "the keeper" not in supervision._tasks


@pytest.mark.parametrize(("essential", "where"), [(True, "missing"), (False, "amiss")])
async def test_readiness_names_a_task_that_fails(essential: bool, where: str) -> None:
    failed = asyncio.Event()

    async def work() -> None:
        failed.set()
        raise ValueError("a secret text")

    task = supervise("the keeper", work, essential=essential)
    await failed.wait()
    await asyncio.sleep(0)
    named = getattr(Observer(Intake(), no_pages).health(), where)
    assert "the keeper (ValueError)" in named
    assert "a secret text" not in str(named)
    await ended(task)
    assert supervision.failing(essential=essential) == []


async def test_one_that_has_run_long_enough_again_is_not_failing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "STABLE_SECONDS", 0.05)
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 1:
            raise ValueError
        await asyncio.Event().wait()

    task = supervise("the keeper", work)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert supervision.failing(essential=True) == ["the keeper (ValueError)"]
    await asyncio.sleep(0.3)
    assert supervision.failing(essential=True) == []
    await ended(task)


async def test_restarts_are_a_metric(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    failed = asyncio.Event()

    async def work() -> None:
        failed.set()
        raise ValueError

    task = supervise("the keeper", work)
    await failed.wait()
    await asyncio.sleep(0)
    key = ("hpns_task_restarts_total", ("the keeper",))
    assert counting.collect().counters[key] == 1.0  # type: ignore[index]
    await ended(task)
