"""The export of metrics while nothing is counted: seldom, often enough to count as alive, and at once with news."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pytest_django import Settings

from delivery.metrics import counting, exporting, files, receipt_counts
from tests.waiting import PATIENCE


@pytest.fixture
async def written(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator["asyncio.Queue[bytes]"]:
    """What is written to the file while an export runs whose seconds are short; it is quiet at first."""
    settings.METRICS_DIR = str(tmp_path)
    counting.collect()
    found: asyncio.Queue[bytes] = asyncio.Queue()
    real, loop = asyncio.sleep, asyncio.get_running_loop()

    async def short(seconds: float) -> None:
        await real(0.01)

    def write(_file: files.ProcessFile, data: bytes) -> bool:
        loop.call_soon_threadsafe(found.put_nowait, data)
        return True

    monkeypatch.setattr("delivery.metrics.exporting.asyncio.sleep", short)
    monkeypatch.setattr(files.ProcessFile, "write", write)
    task = asyncio.create_task(exporting.export())
    await asyncio.wait_for(found.get(), PATIENCE)
    yield found
    task.cancel()
    await asyncio.wait({task})


async def test_nothing_is_written_again_while_nothing_is_counted(written: "asyncio.Queue[bytes]") -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(written.get(), 0.3)


async def test_what_is_counted_is_written_with_the_next_second(written: "asyncio.Queue[bytes]") -> None:
    for count in (
        lambda: counting.accepted(1),
        lambda: counting.answered(0.1),
        lambda: counting.batch(3),
        lambda: counting.turned_away("unauthorized"),
        lambda: counting.put_aside("push"),
        lambda: receipt_counts.kept(1),
    ):
        count()
        await asyncio.wait_for(written.get(), PATIENCE)


async def test_a_quiet_process_stays_alive_for_who_reads_the_files(
    written: "asyncio.Queue[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    assert exporting.QUIET_INTERVAL + 2 < files.STALE_AFTER
    monkeypatch.setattr(exporting, "QUIET_INTERVAL", 0.05)
    await asyncio.wait_for(written.get(), PATIENCE)
