"""The load of one flood on raw sockets, until SIGTERM or its time is over.

    python -m tests.bench.neighbours.load ORDER.json

Prints READY once it is at full force, and at the end one line of JSON with what came back.
"""

import asyncio
import collections
import contextlib
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Literal

import msgspec

from tests.bench.neighbours import raw_http
from tests.bench.neighbours.raw_http import Connection

PATIENCE = 60.0
CONNECTING = 64
"""Connections that are opened at a time."""
CONNECT_SECONDS = 10.0


class Order(msgspec.Struct):
    """What is asked for.

    closed: so many connections, each sends the next request when the last one was answered; open: so many requests a
    second whatever comes back, on at most so many connections; idle: so many connections that say nothing; withhold:
    so many requests without their last byte. request: a file.
    """

    kind: Literal["closed", "open", "idle", "withhold"]
    port: int
    connections: int
    seconds: float
    request: str = ""
    rate: float = 0.0
    ca_file: str = ""
    source: str = "127.0.0.5"


class Load:
    """One load."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.tls = raw_http.trusting(order.ca_file)
        self.request = Path(order.request).read_bytes() if order.request else b""
        self.words: collections.Counter[str] = collections.Counter()
        self.open: list[Connection] = []
        self.tasks: set[asyncio.Task[None]] = set()
        self._said_ready = False

    async def run(self) -> None:
        """Make it."""
        made = getattr(self, f"_{self.order.kind}")
        until = time.perf_counter() + self.order.seconds
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + self.order.seconds):
                await made(until)

    async def _closed(self, until: float) -> None:
        async def one() -> None:
            connection = self._connection()
            while time.perf_counter() < until:
                await self._ask(connection)

        tasks = [asyncio.create_task(one()) for _ in range(self.order.connections)]
        self._ready()
        await asyncio.gather(*tasks)

    async def _open(self, until: float) -> None:
        idle: list[Connection] = []
        count, start = 0, time.perf_counter()

        async def one() -> None:
            connection = idle.pop() if idle else self._connection()
            await self._ask(connection)
            idle.append(connection)

        self._ready()
        while (now := time.perf_counter()) < until:
            while count <= (now - start) * self.order.rate:
                count += 1
                if len(self.tasks) < self.order.connections:
                    task = asyncio.create_task(one())
                    self.tasks.add(task)
                    task.add_done_callback(self.tasks.discard)
                else:
                    self.words["not sent"] += 1
            await asyncio.sleep(0.002)

    async def _idle(self, until: float) -> None:
        await self._connect(b"")
        await asyncio.sleep(max(0.0, until - time.perf_counter()))

    async def _withhold(self, until: float) -> None:
        await self._connect(raw_http.with_id(self.request)[:-1])
        await asyncio.sleep(max(0.0, until - time.perf_counter()))

    async def _connect(self, data: bytes) -> None:
        turns = asyncio.Semaphore(CONNECTING)

        async def one() -> None:
            async with turns:
                connection = self._connection()
                try:
                    async with asyncio.timeout(CONNECT_SECONDS):
                        _, writer = await connection.open()
                        if data:
                            writer.write(data)
                            await writer.drain()
                except (OSError, TimeoutError) as error:
                    self.words[type(error).__name__] += 1
                    self._ready()  # the service takes no more
                else:
                    self.words["connected"] += 1
                    self.open.append(connection)

        await asyncio.gather(*(one() for _ in range(self.order.connections)))
        self._ready()

    async def _ask(self, connection: Connection) -> None:
        word, seconds = await raw_http.timed(connection, self.request, PATIENCE)
        self.words[word] += 1
        if word.endswith("Error") and seconds < 0.05:
            await asyncio.sleep(0.05)

    def _ready(self) -> None:
        if not self._said_ready:
            self._said_ready = True
            sys.stdout.write("READY\n")
            sys.stdout.flush()

    def _connection(self) -> Connection:
        return Connection(self.order.port, self.order.source, self.tls)


async def _work(load: Load) -> None:
    working = asyncio.create_task(load.run())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await working


def main() -> None:
    """See the module."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    load = Load(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Order))
    asyncio.run(_work(load))
    sys.stdout.write(msgspec.json.encode(dict(load.words)).decode() + "\n")


if __name__ == "__main__":
    main()
