"""Other people's HTTP/2 servers understand us and we them: nghttp2's, always, and Go's where it is asked for.

nghttp2 (https://nghttp2.org) is written in C, and the server side of Node's http2 module; a Node comes with
playwright's wheel, so that this peer is wherever the tests of pages run. To build Go's library takes half a minute of a
processor, so that it is a peer only where it is asked for: `GO_SERVER=1 bin/test tests/delivery/http2`. h2 plays all
other servers.
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

from delivery.http2.engine import Engine
from delivery.http2.stream import Stream
from delivery.sandbox import certificates
from tests import required_programs
from tests.delivery.http2.posting import FIELD_BLOCK

GO = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
PROGRAMS = Path(__file__).parent / "second_server"
REQUESTS = 60
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


@pytest.fixture(scope="module")
def node() -> str:
    """Playwright's Node, which needs the libraries that its browser needs."""
    required_programs.program("CHROMIUM")
    return compute_driver_executable()[0]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"settings": {"headerTableSize": 0}},
        {"maxDeflateDynamicTableSize": 0, "paddingStrategy": 1},
        {"settings": {"maxConcurrentStreams": 1}},
        {"settings": {"initialWindowSize": 1_023, "maxConcurrentStreams": 3}},
    ],
    ids=json.dumps,
)
async def test_the_server_of_nghttp2_takes_every_request(options: dict[str, object], node: str, tmp_path: Path) -> None:
    certificates.ensure(tmp_path)
    files = [str(tmp_path / name) for name in ("server.key", "server.pem")]
    with running([node, str(PROGRAMS / "main.js"), *files, json.dumps(options)]) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        seen = await post_all(port, tmp_path, ["/3/200", "/3/410"] * (REQUESTS // 2), 3_000)
    assert sorted(set(seen)) == [(200, "", 3_000), (410, "", 3_000)]


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
    command = [GO, "build", "-o", str(program), str(PROGRAMS / "main.go")]
    built = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280, check=False)
    assert built.returncode == 0, built.stderr
    return program
