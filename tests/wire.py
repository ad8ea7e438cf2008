"""A road to Valkey on the test's own loop that can lose, refuse or hold the next command of a kind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

import hiredis


class Fault(Enum):
    """What happens to a command: lost on its way there or its reply on the way back, with the connection; or held."""

    LOST = "lost"
    REPLY_LOST = "reply lost"
    HELD = "held"


class Wire:
    """See the module. url: where it listens; seen: the commands that came, as lists of arguments."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 6379)
        self._parts = parts
        self.url = ""
        self.seen: list[list[bytes]] = []
        self._faults: list[tuple[bytes, Fault | str]] = []
        self._tasks: set[asyncio.Task[Any]] = set()

    def fault(self, needle: str, fault: Fault | str, times: int = 1) -> None:
        """Let the next commands with this argument meet a fault; a text is the error that they are answered with."""
        self._faults += [(needle.encode(), fault)] * times

    def heal(self) -> None:
        """Let no further command meet a fault."""
        self._faults.clear()

    def count(self, needle: str) -> int:
        """How many commands with this argument came."""
        return sum(needle.encode() in command for command in self.seen)

    def _next_fault(self, command: list[bytes]) -> Fault | str | None:
        for waiting in self._faults:
            if waiting[0] in command:
                self._faults.remove(waiting)
                return waiting[1]
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        exchange = asyncio.current_task()
        assert exchange is not None
        self._tasks.add(exchange)
        commands: asyncio.Queue[list[bytes]] = asyncio.Queue()
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        reading = asyncio.create_task(_read(reader, commands))
        # The server notices, too, that a client has gone which it keeps waiting.
        reading.add_done_callback(lambda _: exchange.cancel())
        try:
            await self._exchange(commands, writer, far_reader, far_writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the end of a connection
        finally:
            reading.cancel()
            self._tasks.discard(exchange)
            for end in (writer, far_writer):
                end.transport.abort()

    async def _exchange(
        self,
        commands: "asyncio.Queue[list[bytes]]",
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        while True:
            command = await commands.get()
            self.seen.append(command)
            fault = self._next_fault(command)
            if fault is Fault.LOST:
                return
            if fault is Fault.HELD:
                await asyncio.Event().wait()
            if isinstance(fault, str):
                writer.write(f"-{fault}\r\n".encode())
                continue
            far_writer.write(hiredis.pack_command(tuple(command)))
            parser, received = hiredis.Reader(), b""
            while parser.gets() is False:
                data = await far_reader.read(65536)
                if not data:
                    return
                received += data
                parser.feed(data)
            if fault is Fault.REPLY_LOST:
                return
            writer.write(received)


async def _read(reader: asyncio.StreamReader, commands: "asyncio.Queue[list[bytes]]") -> None:
    parser = hiredis.Reader()  # a command is an array of bulk strings, as in a reply
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            parser.feed(data)
            while (command := parser.gets()) is not False:
                commands.put_nowait(command)


@asynccontextmanager
async def wire_to(url: str) -> AsyncIterator[Wire]:
    """A wire to the Valkey at `url`, for as long as the context lasts."""
    wire = Wire(url)
    server = await asyncio.start_server(wire._serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    wire.url = wire._parts._replace(netloc=f":{wire._parts.password or ''}@127.0.0.1:{port}").geturl()
    try:
        yield wire
    finally:
        server.close()
        for task in list(wire._tasks):
            task.cancel()
        await asyncio.gather(*wire._tasks, return_exceptions=True)
