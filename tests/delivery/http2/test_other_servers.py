"""Other people's HTTP/2 servers understand us and we them: nghttpd, and that of Go; skipped where they are not.

`bin/test -rs tests/delivery/http2` says whether they were. To build Go's library takes half a minute of a processor, so
that it is a peer only where it is asked for: `GO_SERVER=1 bin/test tests/delivery/http2`. h2 plays all other servers.
"""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from delivery.http2.engine import Engine
from delivery.http2.stream import Stream
from delivery.sandbox import certificates
from tests.delivery.http2.posting import FIELD_BLOCK

NGHTTPD = shutil.which("nghttpd") or shutil.which("nghttpd", path="/usr/sbin")
GO = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
PROGRAM = Path(__file__).parent / "second_server" / "main.go"
REQUESTS = 60
needs_nghttpd = pytest.mark.skipif(
    NGHTTPD is None, reason="nghttpd is not installed, so that it is no peer of ours (apt install nghttp2-server)"
)
needs_go = pytest.mark.skipif(
    GO is None or not os.environ.get("GO_SERVER"),
    reason="Go's HTTP/2 server is no peer of ours: GO_SERVER=1 is not set, or Go not installed (apt install golang-go)",
)


@contextmanager
def running(command: list[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    """A server, until the block ends."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


async def post_all(port: int, folder: Path, paths: list[str], size: int) -> list[tuple[int, str, int]]:
    """Post so many bytes to each path at once, twice over; status, fault and length of the answer of each."""
    engine = Engine(asyncio.get_running_loop(), str(folder / certificates.CA_FILE))
    seen: list[tuple[int, str, int]] = []

    def on_done(stream: Stream) -> None:
        seen.append((stream.status, stream.fault or stream.error, len(stream.body)))

    try:
        for round_ in (1, 2):
            for path in paths:
                engine.channel(f"https://localhost:{port}", 1).post(path, FIELD_BLOCK, b"x" * size, 30.0, on_done)
            async with asyncio.timeout(32):
                while len(seen) < round_ * len(paths):
                    await asyncio.sleep(0.01)
    finally:
        await engine.close()
    return seen


def is_listening(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@needs_nghttpd
@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--header-table-size=0"],
        ["--encoder-header-table-size=0", "--padding=200"],
        ["--max-concurrent-streams=1"],
        ["--window-bits=10", "--connection-window-bits=16", "--max-concurrent-streams=3"],
    ],
    ids=lambda options: " ".join(options) or "as it is",
)
async def test_nghttpd_takes_every_request(options: list[str], tmp_path: Path) -> None:
    assert NGHTTPD is not None
    certificates.ensure(tmp_path)
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "ok").write_text("{}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    files = [str(tmp_path / name) for name in ("server.key", "server.pem")]
    command = [NGHTTPD, "--address=127.0.0.1", f"--htdocs={tmp_path / 'pages'}", *options, str(port), *files]
    with running(command):
        async with asyncio.timeout(30):
            while not is_listening(port):
                await asyncio.sleep(0.05)
        seen = await post_all(port, tmp_path, ["/ok", "/missing"] * (REQUESTS // 2), 3_000)
    assert sorted({(status, fault) for status, fault, _ in seen}) == [(200, ""), (404, "")]
    assert {length for status, _, length in seen if status == 200} == {2}


@needs_go
@pytest.mark.parametrize(("streams", "buffer"), [(250, 1 << 20), (1, 4_096)], ids=["as it is", "one stream, 4 KB"])
async def test_the_server_of_go_takes_every_request(streams: int, buffer: int, go_server: Path, tmp_path: Path) -> None:
    certificates.ensure(tmp_path)
    files = [str(tmp_path / name) for name in ("server.pem", "server.key")]
    with running([str(go_server), *files, str(streams), str(buffer)]) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        seen = await post_all(port, tmp_path, ["/3/200", "/3/410"] * (REQUESTS // 2), 9_000)
    assert sorted(set(seen)) == [(200, "", 9_000), (410, "", 9_000)]


@pytest.fixture(scope="module")
def go_server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, built."""
    assert GO is not None
    program = tmp_path_factory.mktemp("go") / "server"
    environment = os.environ | {"GO111MODULE": "off", "GOFLAGS": ""}
    command = [GO, "build", "-o", str(program), str(PROGRAM)]
    built = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280, check=False)
    assert built.returncode == 0, built.stderr
    return program
