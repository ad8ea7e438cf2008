"""A server that speaks enough of Valkey's protocol for a link: slowly, or no more. It runs on the test's own loop."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import hiredis

REPLIES: dict[bytes, bytes] = {
    b"PING": b"+PONG\r\n",
    b"GET": b"$-1\r\n",
    b"CLIENT": b"+OK\r\n",
    b"BLMPOP": b"*-1\r\n",
}
"""By command; all others are answered with OK."""


class SlowServer:
    """`delay`: seconds before each reply; `silent`: it replies no more; `hasty`: it hangs up after so many replies.

    commands: what was asked, in its order; connections: how many were opened.
    """

    def __init__(self, delay: float) -> None:
        self.delay, self.silent, self.hasty = delay, False, 0
        self.commands: list[list[bytes]] = []
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        parser, count = hiredis.Reader(), 0
        try:
            while data := await reader.read(65536):
                parser.feed(data)
                while (command := parser.gets()) is not False:
                    self.commands.append(command)
                    await asyncio.sleep(self.delay)
                    if not self.silent:
                        writer.write(REPLIES.get(command[0], b"+OK\r\n"))
                    count += 1
                    if count == self.hasty:
                        return
        except OSError:
            pass  # the link has broken it off
        finally:
            writer.close()

    def names(self) -> list[str]:
        """The commands without their arguments."""
        return [command[0].decode() for command in self.commands]


@asynccontextmanager
async def slow_server(delay: float = 0.0, tls: ssl.SSLContext | None = None) -> AsyncIterator[SlowServer]:
    """A listening server; closed afterwards."""
    server = SlowServer(delay)
    tasks: set[asyncio.Task[Any]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(server.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listening = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
