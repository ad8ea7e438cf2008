"""A page's response goes out whole: from memory when it is small, else from a file without a name, within a bound."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hpns.web import pages_app
from hpns.web.page_limit import Shares
from hpns.web.page_spool import IN_MEMORY, Spool, SpoolFullError
from tests.hpns.web.pages_service import serving
from tests.waiting import PATIENCE

KEYS = ("client 203.0.113.9",)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


async def spooled(spool: Spool, *pieces: bytes, status: int = 200) -> list[Mapping[str, Any]]:
    """Capture a response in these pieces; what is replayed of it."""
    headers = [(b"content-type", b"text/csv"), (b"Content-Length", b"7")]
    await spool.capture({"type": "http.response.start", "status": status, "headers": headers})
    for piece in pieces:
        await spool.capture({"type": "http.response.body", "body": piece, "more_body": True})
    assert not spool.complete
    await spool.capture({"type": "http.response.body"})
    assert spool.complete
    sent: list[Mapping[str, Any]] = []

    async def send(message: Mapping[str, Any]) -> None:
        sent.append(message)

    await spool.replay(send)
    return sent


async def test_what_is_small_goes_from_memory_with_its_length(temporary: Path) -> None:
    start, body = await spooled(Spool(Shares(0, 0), KEYS), b"one,", b"two")
    assert start["headers"] == [(b"content-type", b"text/csv"), (b"content-length", b"7")]
    assert body["body"] == b"one,two"
    assert os.listdir(temporary) == []


async def test_what_has_no_body_says_no_length() -> None:
    start, _ = await spooled(Spool(Shares(0, 0), KEYS), status=304)
    assert (b"content-length", b"0") not in start["headers"]


async def test_what_is_large_goes_from_a_file_that_has_no_name_and_gives_its_share_back(temporary: Path) -> None:
    shares = Shares(4 * IN_MEMORY, 4 * IN_MEMORY)
    spool = Spool(shares, KEYS)
    start, *pieces = await spooled(spool, b"a" * IN_MEMORY, b"b", b"c" * IN_MEMORY)
    assert (b"content-length", str(2 * IN_MEMORY + 1).encode()) in start["headers"]
    assert b"".join(piece["body"] for piece in pieces) == b"a" * IN_MEMORY + b"b" + b"c" * IN_MEMORY
    assert os.listdir(temporary) == []
    assert shares.in_use == 2 * IN_MEMORY + 1
    spool.close()
    assert shares.in_use == 0


async def test_files_of_one_and_of_all_are_bounded() -> None:
    shares = Shares(4 * IN_MEMORY, 2 * IN_MEMORY)
    with pytest.raises(SpoolFullError):
        await spooled(Spool(shares, KEYS), b"a" * 3 * IN_MEMORY)
    spool = Spool(shares, KEYS)
    await spooled(spool, b"a" * 2 * IN_MEMORY)
    with pytest.raises(SpoolFullError):
        await spooled(Spool(shares, KEYS), b"a" * (IN_MEMORY + 1))
    await spooled(Spool(shares, ("client 203.0.113.10",)), b"a" * 2 * IN_MEMORY)
    spool.close()
    await spooled(Spool(shares, KEYS), b"a" * 2 * IN_MEMORY)


async def large(_scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """A handler with a large answer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(3):
        await send({"type": "http.response.body", "body": b"l" * IN_MEMORY, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def test_where_there_is_no_place_for_the_file_the_reader_and_the_log_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(large) as service:
        monkeypatch.setattr("tempfile.tempdir", "/nowhere")
        found = await asyncio.wait_for(service.get(), PATIENCE)
    assert found.status == 500
    assert b"could not be made" in found.body
    assert f"for want of a place for temporary files: {os.strerror(2)}" in caplog.text


async def test_where_files_of_others_wait_for_their_readers_the_next_is_told_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pages_app, "FILES_MAX", IN_MEMORY)
    async with serving(large) as service:
        found = await service.get()
    assert (found.status, found.headers["retry-after"]) == (503, "5")
    assert b"wait for their readers" in found.body
