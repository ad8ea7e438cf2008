"""An answer in pieces goes out whole: from memory when it is small, else as a file that is named for a while."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from delivery.executors import BoundedExecutor
from hpns.web import django_bridge, spool
from hpns.web.page_limit import ConcurrencyLimit
from hpns.web.spool import IN_MEMORY, Spool
from tenants.network import TrustedProxies
from tests.tenants.push_request import Headers

HEADERS = [("content-type", "text/csv"), ("content-length", "7")]


class ResponseCapture:
    """What granian does with an answer: it takes it, once."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.status = 0
        self.body: bytes | None = None
        self.path: Path | None = None

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """All of it at once."""
        self.status, self.headers, self.body = status, dict(headers), body

    def response_str(self, status: int, headers: list[tuple[str, str]], body: str) -> None:
        """The same."""
        self.response_bytes(status, headers, body.encode())

    def response_file(self, status: int, headers: list[tuple[str, str]], path: str) -> None:
        """By the name of a file."""
        self.status, self.headers, self.path = status, dict(headers), Path(path)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def sent(*pieces: bytes) -> ResponseCapture:
    captured = ResponseCapture()

    async def go() -> None:
        kept = Spool()
        for piece in pieces:
            await kept.add(piece)
        await kept.send(captured, 200, HEADERS)
        kept.close()

    asyncio.run(go())
    return captured


def test_what_is_small_is_sent_from_memory_with_its_length(temporary: Path) -> None:
    captured = sent(b"one,", b"two")
    assert captured.body == b"one,two"
    assert captured.headers == {"content-type": "text/csv", "content-length": "7"}
    assert list(temporary.iterdir()) == []


def test_what_is_large_is_sent_as_a_file_that_nobody_else_may_read(temporary: Path) -> None:
    captured = sent(b"a" * IN_MEMORY, b"b", b"c" * IN_MEMORY)
    assert captured.path is not None
    assert captured.path.read_bytes() == b"a" * IN_MEMORY + b"b" + b"c" * IN_MEMORY
    assert captured.headers["content-length"] == str(2 * IN_MEMORY + 1)
    assert captured.path.stat().st_mode & 0o777 == 0o600
    assert list(temporary.iterdir()) == [captured.path]
    spool.unlink_all()
    assert list(temporary.iterdir()) == []


def test_a_file_loses_its_name_after_a_while(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "UNLINK_DELAY", 0.01)

    async def go() -> None:
        kept = Spool()
        await kept.add(b"a" * (IN_MEMORY + 1))
        await kept.send(ResponseCapture(), 200, HEADERS)
        assert len(os.listdir(temporary)) == 1
        await asyncio.sleep(0.1)

    asyncio.run(go())
    assert list(temporary.iterdir()) == []


def test_nothing_is_left_of_an_answer_that_was_not_sent(temporary: Path) -> None:
    async def go() -> None:
        kept = Spool()
        await kept.add(b"a" * (IN_MEMORY + 1))
        assert len(os.listdir(temporary)) == 1
        kept.close()

    asyncio.run(go())
    assert list(temporary.iterdir()) == []


def bridged(captured: ResponseCapture, messages: list[dict[str, Any]]) -> None:
    """Send messages of ASGI through the bridge that serves pages."""
    scope: Any = type("Scope", (), {})()
    scope.method, scope.path, scope.query_string, scope.http_version = "GET", "/", "", "1.1"
    scope.authority, scope.client, scope.server, scope.scheme = None, "127.0.0.1:1", "127.0.0.1:2", "http"
    scope.headers = Headers([])

    async def go() -> None:
        bridge = django_bridge._Bridge(scope, captured, "/", TrustedProxies(), ConcurrencyLimit(1, 0, 0))
        await bridge.send({"type": "http.response.start", "status": 200, "headers": []})
        for message in messages:
            await bridge.send({"type": "http.response.body", **message})
        bridge.release_resources()

    asyncio.run(go())


def test_an_answer_that_breaks_off_is_never_begun(temporary: Path) -> None:
    captured = ResponseCapture()
    bridged(captured, [{"body": b"a" * (IN_MEMORY + 1), "more_body": True}])
    assert (captured.status, captured.body, captured.path) == (0, None, None)
    assert list(temporary.iterdir()) == []


def test_where_there_is_no_place_for_the_file_the_reader_and_the_log_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, temporary: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(temporary / "gone"))
    captured = ResponseCapture()
    large = {"body": b"a" * (IN_MEMORY + 1), "more_body": True}
    bridged(captured, [large, large, {"body": b""}])
    assert captured.status == 500
    assert b"could not be made" in (captured.body or b"")
    assert f"for want of a place for temporary files: {os.strerror(2)}" in caplog.text


def test_where_too_many_wait_for_the_disk_the_reader_and_the_log_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, temporary: Path
) -> None:
    monkeypatch.setattr(spool, "FILES", BoundedExecutor("temporary files", threads=0, queued=0))
    captured = ResponseCapture()
    bridged(captured, [{"body": b"a" * (IN_MEMORY + 1), "more_body": True}, {"body": b""}])
    assert (captured.status, list(temporary.iterdir())) == (500, [])
    assert "all threads for temporary files are busy" in caplog.text
