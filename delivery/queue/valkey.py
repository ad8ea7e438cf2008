"""A link to Valkey (or Redis) on an asyncio loop: one pipelined connection, which is opened again whenever it breaks.

Commands that are written in one turn of the loop leave in one system call, and nobody waits for an answer that nobody
asked for: this is what keeps the queue's share of a push at a few microseconds. redis-py's own asyncio client costs
about ten times as much per command; everything off the hot path uses redis-py (tenants/redis_client.py).

Invariants: a command is written at most once: when the connection breaks, whoever waits for an answer gets
ConnectionError and decides for himself whether to ask again. Nobody's command is written before the link is up: the
connection is authenticated, has its database, and `on_connect` has put in order what the last one left behind. And
nothing that was written to the last connection is done after that: the server closes it first, if it has not yet.
"""

import asyncio
import itertools
import logging
import re
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis
from django.conf import settings

from delivery.queue.connection import REPLY_TIMEOUT, Connection, ConnectionLost, pack, refuse
from tenants.supervision import supervise

logger = logging.getLogger(__name__)

__all__ = ["Connection", "ConnectionLost", "Link", "ask", "pack", "shared"]

# Seconds between two tries to connect, growing while none of them lasts for STABLE_SECONDS.
RETRY_FIRST, RETRY_MOST = 0.05, 1.0
STABLE_SECONDS: Final = 1.0
CONNECT_TIMEOUT = 3.0
# How CLIENT INFO names a connection. https://valkey.io/commands/client-list/
_CLIENT: Final = re.compile(rb"\bid=(\d+) ")
# https://valkey.io/commands/info/
_RUN: Final = re.compile(rb"^run_id:(\w+)", re.MULTILINE)
_nameless: Final = itertools.count(1)


class _Client(NamedTuple):
    """A connection as its server calls it, and the server's run."""

    number: str
    run: bytes


class Link:
    """A connection that is opened again whenever it breaks, with growing pauses of at most a second."""

    def __init__(
        self,
        url: str,
        *,
        on_connect: Callable[[Connection], Awaitable[None]] | None = None,
        on_up: Callable[[], None] | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
        name: str = "",
        timeout: float = REPLY_TIMEOUT,
    ) -> None:
        """Make a link; start() begins to connect.

        url: redis://[user:password@]host:port/db, rediss:// for TLS (query ssl_ca_certs=FILE); the server of the
        settings is reached through its Unix socket where they name one (REDIS_SOCKET).
        on_connect: a coroutine function run after each connection, before anybody else may write to it.
        on_up: called right after that, when everybody may. loop: where it lives, if it is made before the loop runs.
        name: what it is for, in the logs. timeout: see delivery/queue/connection.py.
        """
        self.url = url
        self.up = False
        self._name, self._timeout = name or f"commands {next(_nameless)}", timeout
        self._loop = loop
        self._on_connect, self._on_up = on_connect, on_up
        self._protocol: Connection | None = None
        self._last_client: _Client | None = None  # the last connection
        self._was_up: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> "asyncio.Future[None]":
        """Begin connecting, unless that has begun; the future is done when the link is up. May be called again."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        if self._was_up is None or (self._was_up.done() and not self.up):
            self._was_up = self._loop.create_future()
        if self._task is None:
            self._task = supervise(f"the connection to Valkey for {self._name}", self._run, loop=self._loop)
        return asyncio.shield(self._was_up)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        pause = RETRY_FIRST
        while True:
            since, lasted = loop.time(), False
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    connection = await self._open(loop)
                if self._on_connect is not None:
                    await self._on_connect(connection)
                if connection.closed:
                    raise ConnectionLost("the connection to Valkey broke")
                self._come_up()  # with nothing awaited since on_connect has returned: what it found is still so
                await connection.ended
                lasted = loop.time() - since > STABLE_SECONDS
                logger.warning("lost the connection to Valkey for %s", self._name)
            except (OSError, TimeoutError, hiredis.HiredisError) as error:
                reason = str(error) or type(error).__name__
                logger.warning("Valkey is unreachable, reconnecting in %.1f s: %s", pause, reason)
            finally:
                self._drop()
            if lasted:
                pause = RETRY_FIRST
            else:
                await asyncio.sleep(pause)
                pause = min(pause * 2, RETRY_MOST)

    def _come_up(self) -> None:
        self.up = True
        if self._was_up is not None and not self._was_up.done():
            self._was_up.set_result(None)
        if self._on_up is not None:
            self._on_up()

    async def _open(self, loop: asyncio.AbstractEventLoop) -> Connection:
        parts = urlsplit(self.url)
        connection = Connection(loop, self._on_closed, self._timeout)
        if parts.scheme not in ("redis", "rediss"):
            raise ValueError(f"REDIS_URL begins with {parts.scheme}://; redis:// and rediss:// are known.")
        context = None
        if parts.scheme == "rediss":
            context = ssl.create_default_context(cafile=parse_qs(parts.query).get("ssl_ca_certs", [None])[0])
        if settings.REDIS_SOCKET and self.url == settings.REDIS_URL:
            await loop.create_unix_connection(lambda: connection, settings.REDIS_SOCKET)
        else:
            host, port = parts.hostname or "127.0.0.1", parts.port or 6379
            await loop.create_connection(lambda: connection, host, port, ssl=context)
        db = parts.path.strip("/") or "0"
        self._protocol = connection
        if parts.password:
            user = (unquote(parts.username),) if parts.username else ()
            await ask(connection, "AUTH", *user, unquote(parts.password))
        if db != "0":
            await ask(connection, "SELECT", db)
        await ask(connection, "PING")  # answers LOADING while it still reads its append-only file
        await self._fence(connection)
        return connection

    async def _fence(self, connection: Connection) -> None:
        """Have the server close the last connection, if it still thinks it open, and learn what it calls this one.

        We have given that one up because the server, or the network, stood still. What it has not read yet, and what
        blocks there, would still come about when it goes on: a batch that is published again by then, or a message
        that is moved for nobody. The run goes with the id, for a server that was started anew counts from one.
        """
        last, self._last_client = self._last_client, None
        run = await self._run_of(connection)
        if last is not None and last.run == run:
            closed = await connection.execute("CLIENT", "KILL", "ID", last.number)
            if isinstance(closed, Exception):
                logger.warning("Valkey does not let us close a connection of ours that it may still read: %s", closed)
        named = await connection.execute("CLIENT", "INFO")
        if isinstance(named, bytes) and (found := _CLIENT.search(named)):
            self._last_client = _Client(found[1].decode(), run)

    async def _run_of(self, connection: Connection) -> bytes:
        """By what a server tells its present run from all others; b"" where it does not let us know."""
        info = await connection.execute("INFO", "server")
        found = _RUN.search(info) if isinstance(info, bytes) else None
        return found[1] if found else b""

    def _on_closed(self, connection: Connection) -> None:
        if connection is self._protocol:
            self.up, self._protocol = False, None

    def _drop(self) -> None:
        self.up = False
        connection, self._protocol = self._protocol, None
        if connection is not None:
            connection.abort()

    def post(self, commands: bytes, count: int, last: "asyncio.Future[Any] | None" = None) -> bool:
        """Write `count` packed commands; `last` gets the answer to the last one (an Exception object if refused).

        Returns False, having written nothing, when the link is not up; `last` then raises ConnectionLost.
        """
        if self.up and self._protocol is not None:
            return self._protocol.post(commands, count, last)
        refuse(last)
        return False

    def execute(self, *command: Any, timeout: float | None = None) -> "asyncio.Future[Any]":
        """Write one command and return the future of its answer; ConnectionLost when the link is or goes down.

        An answer that takes longer than `timeout` seconds breaks the connection off. Commands that block have a timeout
        by themselves; for all others it is enough that the connection notices a server that says nothing.
        """
        if self.up and self._protocol is not None:
            return self._protocol.execute(*command, timeout=timeout)
        future: asyncio.Future[Any] = (self._loop or asyncio.get_running_loop()).create_future()
        refuse(future)
        return future

    def abort(self) -> None:
        """Break the connection off because its server does not reply; the link counts as down and reconnects."""
        if self._protocol is not None:
            self._protocol.abort()

    async def drain(self) -> None:
        """Wait until every command posted so far has its reply; ConnectionLost when the link breaks first."""
        await self.execute("PING")

    def close(self) -> None:
        """Close for good; waiting answers end as ConnectionLost."""
        self._closing = True
        self.up = False
        connection, self._protocol = self._protocol, None
        if connection is not None:
            connection.close()
        if self._task is not None:
            self._task.cancel()
        if self._was_up is not None and not self._was_up.done():
            self._was_up.cancel()


async def ask(connection: "Connection | Link", *command: Any) -> Any:
    """The answer to a command, which has to be no error. Raises ConnectionError."""
    if isinstance(answer := await connection.execute(*command), Exception):
        raise ConnectionError(str(answer))
    return answer


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
