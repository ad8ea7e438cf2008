"""One pipelined connection to Valkey (or Redis) on an asyncio loop, which reconnects by itself.

Commands that are written in one turn of the loop leave in one system call, and nobody waits for an answer that nobody
asked for: this is what keeps the queue's share of a push at a few microseconds. redis-py's own asyncio client costs
about ten times as much per command; everything off the hot path uses redis-py.

Invariant: a command is written at most once. When the connection breaks, whoever waits for an answer gets
ConnectionError and decides for himself whether to ask again; the link never repeats a command.

Protocol: RESP2, https://valkey.io/topics/protocol/.
"""

import asyncio
import collections
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

logger = logging.getLogger(__name__)
pack: Callable[[tuple[Any, ...]], bytes] = hiredis.pack_command

RETRY_FIRST, RETRY_MOST = 0.05, 1.0
CONNECT_TIMEOUT = 3.0


class ConnectionLost(ConnectionError):
    """The connection is down, or broke before the answer came."""


class _Protocol(asyncio.Protocol):
    def __init__(self, link: "Link") -> None:
        self.link = link
        self.reader = hiredis.Reader()
        self.waiting: collections.deque[asyncio.Future[Any] | None] = collections.deque()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.reader.feed(data)
        gets, waiting = self.reader.gets, self.waiting
        while (answer := gets()) is not False:
            future = waiting.popleft()
            if future is not None:
                if not future.done():
                    future.set_result(answer)
            elif isinstance(answer, hiredis.ReplyError):
                logger.error("Valkey answered a command with an error: %s", answer)

    def connection_lost(self, exc: Exception | None) -> None:
        for future in self.waiting:
            if future is not None and not future.done():
                future.set_exception(ConnectionLost("the connection to Valkey broke"))
                future.exception()  # seen: whoever dropped the future does not care
        self.waiting.clear()
        self.link.on_lost(self)


class Link:
    """A connection that is opened again whenever it breaks, with growing pauses of at most a second.

    url: redis://[user:password@]host:port/db, rediss:// for TLS (query ssl_ca_certs=FILE), unix:///path.
    on_connect: a coroutine function run after each connection and before the link counts as up; it gets the link.
    loop: where it lives, if it is made before the loop runs.
    """

    def __init__(
        self,
        url: str,
        *,
        on_connect: Callable[["Link"], Awaitable[None]] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self.url = url
        self._loop = loop
        self.up = False
        self._on_connect = on_connect
        self._protocol: _Protocol | None = None
        self._unwritten: list[bytes] = []
        self._connecting: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> "asyncio.Task[None]":
        """Begin connecting; the task ends when the link is up for the first time."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        self._connecting = self._loop.create_task(self._connect())
        return self._connecting

    async def _connect(self) -> None:
        pause = RETRY_FIRST
        while not self._closing:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await self._open()
                if self._on_connect is not None:
                    await self._on_connect(self)
            except (OSError, TimeoutError, hiredis.HiredisError) as error:
                logger.warning("Valkey is unreachable, reconnecting in %.1f s: %s", pause, error)
                self._drop()
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_MOST)
            else:
                if self._protocol is not None:
                    self.up = True
                    return

    async def _open(self) -> None:
        parts = urlsplit(self.url)
        protocol = _Protocol(self)
        loop = asyncio.get_running_loop()
        if parts.scheme == "unix":
            await loop.create_unix_connection(lambda: protocol, parts.path)
            db = parse_qs(parts.query).get("db", ["0"])[0]
        elif parts.scheme in ("redis", "rediss"):
            context = None
            if parts.scheme == "rediss":
                context = ssl.create_default_context(cafile=parse_qs(parts.query).get("ssl_ca_certs", [None])[0])
            await loop.create_connection(
                lambda: protocol, parts.hostname or "127.0.0.1", parts.port or 6379, ssl=context
            )
            db = parts.path.strip("/") or "0"
        else:
            raise ValueError(f"REDIS_URL begins with {parts.scheme}://; redis://, rediss:// and unix:// are known.")
        self._protocol = protocol
        if parts.password:
            user = (unquote(parts.username),) if parts.username else ()
            self._expect_ok(await self.execute("AUTH", *user, unquote(parts.password)))
        if db != "0":
            self._expect_ok(await self.execute("SELECT", db))
        self._expect_ok(await self.execute("PING"))  # answers LOADING while it still reads its append-only file

    @staticmethod
    def _expect_ok(answer: Any) -> None:
        if isinstance(answer, Exception):
            raise ConnectionError(str(answer))

    def on_lost(self, protocol: _Protocol) -> None:
        """Reconnect after the protocol's connection has ended."""
        if protocol is not self._protocol:
            return
        was_up, self.up, self._protocol = self.up, False, None
        self._unwritten.clear()
        if was_up and not self._closing:
            logger.warning("lost the connection to Valkey")
            self.start()

    def _drop(self) -> None:
        protocol, self._protocol = self._protocol, None
        self._unwritten.clear()
        if protocol is not None and protocol.transport is not None:
            protocol.transport.abort()

    def post(self, commands: bytes, count: int, last: "asyncio.Future[Any] | None" = None) -> bool:
        """Write `count` packed commands; `last` gets the answer to the last one (an Exception object if refused).

        Returns False, having written nothing, when the link is down; `last` then raises ConnectionLost.
        """
        protocol = self._protocol
        if protocol is None:
            if last is not None and not last.done():
                last.set_exception(ConnectionLost("Valkey is away"))
                last.exception()
            return False
        waiting = protocol.waiting
        for _ in range(count - 1):
            waiting.append(None)
        waiting.append(last)
        if not self._unwritten:
            self._loop.call_soon(self._write)  # type: ignore[union-attr]  # a link with a protocol has its loop
        self._unwritten.append(commands)
        return True

    def _write(self) -> None:
        commands = b"".join(self._unwritten)
        self._unwritten.clear()
        # What was posted to a connection that broke in the same turn has got ConnectionLost from its protocol.
        if self._protocol is not None and self._protocol.transport is not None:
            self._protocol.transport.write(commands)

    def execute(self, *command: Any) -> "asyncio.Future[Any]":
        """Write one command and return the future of its answer; ConnectionLost when the link is or goes down."""
        future: asyncio.Future[Any] = (self._loop or asyncio.get_running_loop()).create_future()
        self.post(pack(command), 1, future)
        return future

    def abort(self) -> None:
        """Break the connection off because its server does not reply; the link counts as down and reconnects."""
        if self._protocol is not None and self._protocol.transport is not None:
            self._protocol.transport.abort()

    async def drain(self) -> None:
        """Wait until every command posted so far has its reply; ConnectionLost when the link breaks first."""
        await self.execute("PING")

    def close(self) -> None:
        """Close for good; waiting answers end as ConnectionLost."""
        self._closing = True
        self.up = False
        if self._connecting is not None:
            self._connecting.cancel()
        if self._protocol is not None and self._protocol.transport is not None:
            self._protocol.transport.close()


_shared: dict[str, Link] = {}


def shared(url: str, loop: asyncio.AbstractEventLoop | None = None) -> Link:
    """This process's one link for commands to `url`, started at its first use; `loop` is needed where none runs yet.

    What one part posts stays in order with what another posts: a worker's results reach Valkey before the
    acknowledgement of their batch.
    """
    link = _shared.get(url)
    if link is None or link._closing:
        link = _shared[url] = Link(url, loop=loop)
        link.start()
    return link
