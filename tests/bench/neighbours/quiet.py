"""The quiet customer: pushes of ordinary size as a Mattermost server sends them, and what else is seen meanwhile.

    python -m tests.bench.neighbours.quiet '{"port": P, "prefix": "/t/KEY", "bodies": FILE, ...}'

Prints READY when its two connections have carried a push, and begins when it reads a line: so they were there before
whatever begins meanwhile. Pushes are due at fixed moments whatever comes back; each is timed from when it was due. As
in Go's client, a push takes an idle connection or opens one, and two are kept idle.
Beside them: pushes on new connections (a server that has none), the health pages that a balancer asks for, and the
login page that people do. Then it prints one line of JSON.
"""

import asyncio
import collections
import itertools
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from tests.bench.neighbours import raw_http
from tests.bench.neighbours.raw_http import Connection

KEPT: Final = 2
MOST: Final = 64
"""Pushes that the server has under way at a time (8 x NumCPU)."""
WARM_SECONDS: Final = 5.0
PATIENCE: Final = 30.0
"""Seconds that a Mattermost server waits for an answer."""
NEWCOMERS, PROBES = 2.0, 2.0
"""New connections with a push, and looks at each page, a second."""
GIVE_UP: Final = 5.0
"""Seconds that a balancer and a new connection are waited for."""
OTHER_SOURCE: Final = "127.0.0.78"


class Order(msgspec.Struct):
    """What is asked for."""

    port: int
    prefix: str
    bodies: str
    platform: str = ""
    ca_file: str = ""
    page_port: int = 0
    rate: float = 20.0
    seconds: float = 10.0
    source: str = "127.0.0.77"


class Seen(msgspec.Struct):
    """Latencies in ms, of pushes without an answer the time that was waited; words: how often each answer came."""

    pushes: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    words: dict[str, int] = {}
    new_p50_ms: float = 0.0
    new_words: dict[str, int] = {}
    pages: dict[str, dict[str, int]] = {}


def fails(words: dict[str, int], good: str = "OK") -> int:
    """How many of the answers are not the good one."""
    return sum(words.values()) - words.get(good, 0)


class Quiet:
    """One run."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.tls = raw_http.trusting(order.ca_file)
        self.requests = itertools.cycle(list(_requests(order)))
        self.idle: list[Connection] = []
        self.turns = asyncio.Semaphore(MOST)
        self.waits: list[float] = []
        self.words: collections.Counter[str] = collections.Counter()
        self.new_waits: list[float] = []
        self.new_words: collections.Counter[str] = collections.Counter()
        self.pages: dict[str, collections.Counter[str]] = {}

    async def run(self) -> Seen:
        """Do it."""
        order = self.order
        count = int(order.rate * order.seconds)
        self.idle = [Connection(order.port, order.source, self.tls) for _ in range(KEPT)]
        await self._warm()
        sys.stdout.write("READY\n")
        sys.stdout.flush()
        told = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
        while not (await asyncio.wait({told}, timeout=WARM_SECONDS))[0]:
            await self._warm()
        start = time.perf_counter() + 0.1
        pushes = []
        beside = [
            asyncio.create_task(self._newcomers(start)),
            *(
                asyncio.create_task(self._look(path, start))
                for path in ("/health/live", "/health/ready", "/account/login/")
            ),
        ]
        for number in range(count):
            due = start + number / order.rate
            await asyncio.sleep(due - time.perf_counter())
            pushes.append(asyncio.create_task(self._push(due)))
        await asyncio.gather(*beside, *pushes)
        self.waits.sort()
        self.new_waits.sort()
        return Seen(
            pushes=count,
            p50_ms=self.waits[count // 2] * 1000,
            p99_ms=self.waits[count * 99 // 100] * 1000,
            words=dict(self.words),
            new_p50_ms=self.new_waits[len(self.new_waits) // 2] * 1000,
            new_words=dict(self.new_words),
            pages={path: dict(words) for path, words in self.pages.items()},
        )

    async def _warm(self) -> None:
        """Use the kept connections, as a server does that has a push now and then."""
        await asyncio.gather(*(raw_http.timed(one, next(self.requests), GIVE_UP) for one in self.idle))

    async def _push(self, due: float) -> None:
        async with self.turns:
            order = self.order
            connection = self.idle.pop() if self.idle else Connection(order.port, order.source, self.tls)
            word, seconds = await raw_http.timed(connection, next(self.requests), PATIENCE, due)
            self.words[word] += 1
            self.waits.append(seconds)
            if len(self.idle) < KEPT:
                self.idle.append(connection)
            else:
                connection.close()

    async def _newcomers(self, start: float) -> None:
        for number in range(int(NEWCOMERS * self.order.seconds)):
            await asyncio.sleep(start + (number + 0.5) / NEWCOMERS - time.perf_counter())
            connection = Connection(self.order.port, OTHER_SOURCE, self.tls)
            word, seconds = await raw_http.timed(connection, next(self.requests), GIVE_UP)
            connection.close()
            self.new_words[word] += 1
            self.new_waits.append(seconds)

    async def _look(self, path: str, start: float) -> None:
        words = self.pages[path] = collections.Counter()
        port = self.order.page_port or self.order.port
        for number in range(int(PROBES * self.order.seconds)):
            await asyncio.sleep(start + (number + 0.25) / PROBES - time.perf_counter())
            connection = Connection(port, OTHER_SOURCE, self.tls if port == self.order.port else None)
            word, _ = await raw_http.timed(connection, raw_http.get(path, host=f"127.0.0.1:{port}"), GIVE_UP)
            connection.close()
            words[word] += 1


def _requests(order: Order) -> "list[bytes]":
    """The pushes of a file, each to get an id of its own."""
    mark = b'"ack_id":"'
    made = []
    for line in Path(order.bodies).read_bytes().splitlines():
        start = line.index(mark) + len(mark)
        body = line[:start] + raw_http.ACK + line[start + 26 :]
        if order.platform:
            body = body.replace(b'"platform":"apple_rn-v2"', b'"platform":"%b"' % order.platform.encode())
        made.append(raw_http.post(f"{order.prefix}/api/v1/send_push", body))
    return made


def main() -> None:
    """See the module."""
    order = msgspec.json.decode(sys.argv[1], type=Order)
    seen = asyncio.run(Quiet(order).run())
    sys.stdout.write(msgspec.json.encode(seen).decode() + "\n")


if __name__ == "__main__":
    main()
