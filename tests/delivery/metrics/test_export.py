"""The export of metrics on a disk that stands still."""

import asyncio
import os
import threading
from pathlib import Path

import pytest
from pytest_django import Settings

from delivery.metrics import exporting, files


async def test_a_disk_that_stands_still_is_logged_once_and_keeps_no_other_metric_from_being_counted(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings.METRICS_DIR = str(tmp_path)
    real, gate, begun = asyncio.sleep, threading.Event(), []

    async def short(seconds: float) -> None:
        await real(0.01)

    def stands_still(self: files.ProcessFile, data: bytes) -> bool:
        begun.append(data)
        return gate.wait(60)

    monkeypatch.setattr("delivery.metrics.exporting.asyncio.sleep", short)
    monkeypatch.setattr(exporting, "_FILE_TIMEOUT", 0.05)
    with monkeypatch.context() as patched:
        patched.setattr(files.ProcessFile, "write", stands_still)
        task = asyncio.create_task(exporting.export())
        while not caplog.records:
            await real(0.02)
        await real(0.2)
        assert not task.done()
        assert len(begun) == 1, "no second thread hangs beside the first"
        assert [record.levelname for record in caplog.records] == ["ERROR"]
    gate.set()
    while not os.listdir(tmp_path):
        await real(0.02)
    task.cancel()
    await asyncio.wait({task})
