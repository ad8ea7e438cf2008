"""An answer in pieces goes out whole: from memory when it is small, else from a file that has no name."""

import os
from pathlib import Path
from typing import Any

import pytest

from hpns.web import django_bridge
from hpns.web.django_bridge import Pages
from hpns.web.spool import IN_MEMORY, Spool
from tests.hpns.web.doors import Caller, running, until

START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/csv")]}
GET = b"GET /export.csv HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
LARGE = 8 * IN_MEMORY


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def held(temporary: Path) -> int:
    """How many files without a name are open there."""
    links = [str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return sum(link.startswith(str(temporary)) for link in links)


async def sent(*pieces: bytes) -> tuple[dict[bytes, bytes], list[bytes]]:
    """The headers and the pieces of the body that go out."""
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    spool = Spool()
    for piece in pieces:
        await spool.add(piece)
    await spool.send(send, {**START, "headers": [*START["headers"], (b"Content-Length", b"7")]})  # type: ignore[misc]
    spool.close()
    assert [message.get("more_body", False) for message in messages[1:]][-1] is False
    return dict(messages[0]["headers"]), [message["body"] for message in messages[1:]]


async def test_what_is_small_is_sent_from_memory_with_its_length(temporary: Path) -> None:
    headers, pieces = await sent(b"one,", b"two!")
    assert headers == {b"content-type": b"text/csv", b"content-length": b"8"}
    assert pieces == [b"one,two!"]


async def test_what_is_large_is_sent_from_a_file_without_a_name_and_with_its_length(temporary: Path) -> None:
    headers, pieces = await sent(b"a" * IN_MEMORY, b"b", b"c" * IN_MEMORY)
    assert b"".join(pieces) == b"a" * IN_MEMORY + b"b" + b"c" * IN_MEMORY
    assert max(map(len, pieces)) < IN_MEMORY
    assert headers[b"content-length"] == b"%d" % (2 * IN_MEMORY + 1)
    assert os.listdir(temporary) == []
    assert held(temporary) == 0


class Download(Pages):
    """Pages of which each is a download of LARGE bytes; `breaks_off`: after half of it."""

    breaks_off = False

    def __init__(self) -> None:
        super().__init__()
        self.handler = self.download

    async def download(self, _scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(START)
        for number in range(8):
            if self.breaks_off and number == 4:
                return
            await send({"type": "http.response.body", "body": b"x" * IN_MEMORY, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def test_a_slow_reader_holds_a_file_and_neither_a_place_nor_memory(
    monkeypatch: pytest.MonkeyPatch, temporary: Path
) -> None:
    monkeypatch.setattr(django_bridge, "CONCURRENT", 1)
    async with running() as door:
        door.pages = pages = Download()  # type: ignore[method-assign]
        slow: list[Caller] = []
        for _ in range(3):
            slow.append(await door.connect())
            slow[-1].send(GET)
            head = await slow[-1].reader.readuntil(b"\r\n\r\n")
            assert b"content-length: %d\r\n" % LARGE in head
        assert held(temporary) == 3
        assert not pages.limit._semaphore.locked()
        assert await slow[0].rest() == b"x" * LARGE
        for caller in slow[1:]:
            caller.writer.transport.abort()
        await until(lambda: held(temporary) == 0)


async def test_an_answer_that_breaks_off_is_never_begun(temporary: Path) -> None:
    async with running() as door:
        pages = Download()
        pages.breaks_off = True
        door.pages = pages  # type: ignore[method-assign]
        assert (await door.ask(GET)).startswith(b"HTTP/1.1 500 ")
        assert held(temporary) == 0


async def test_where_there_is_no_place_for_the_file_the_reader_and_the_log_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, temporary: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(temporary / "gone"))
    async with running() as door:
        door.pages = Download()  # type: ignore[method-assign]
        data = await door.ask(GET)
    assert data.startswith(b"HTTP/1.1 500 ")
    assert b"could not be made" in data
    assert f"for want of a place for temporary files: {os.strerror(2)}" in caplog.text
