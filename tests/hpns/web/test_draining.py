"""A web process that drains ends by its deadline, whatever goes wrong meanwhile, and resets nobody."""

import asyncio
import errno
import socket
from types import SimpleNamespace

import pytest

from hpns.web import draining
from hpns.web.draining import Drainer
from tests.hpns.web.doors import running
from tests.waiting import PATIENCE

PUSH = b"POST /t/1/api/v1/send_push HTTP/1.1\r\nHost: push\r\nContent-Length: 2\r\n\r\n{}"


class Door:
    """One that fails when it is first looked at, and has no connection after that."""

    is_draining, looks = False, 0

    @property
    def table(self) -> SimpleNamespace:
        self.looks += 1
        if self.looks == 1:
            raise OSError(24, "Too many open files")
        return SimpleNamespace(count=0)

    def close_idle(self) -> None:
        """None is idle."""


async def test_a_look_at_the_connections_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    drained = asyncio.Event()
    monkeypatch.setattr(draining, "POLL_INTERVAL", 0.01)
    drainer = Drainer.__new__(Drainer)  # without its handlers of signals, which are the test process's
    drainer._loop, drainer._door, drainer._on_drained = asyncio.get_running_loop(), Door(), drained.set  # type: ignore[assignment]
    drainer._deadline = 0.0
    drainer._loop.call_soon(drainer._exit_when_drained)
    async with asyncio.timeout(60):
        await drained.wait()


async def test_nobody_connects_between_the_last_look_for_connections_and_the_closing() -> None:
    """Who would be reset by the closing is refused instead, and may have gone to whoever listens by then."""
    loop = asyncio.get_running_loop()
    async with running() as door:
        address, front = ("127.0.0.1", door.port), door.server
        look = front._accept_one
        with socket.create_connection(address) as early, socket.socket() as late:

            def look_and_be_late() -> bool:
                found = look()
                if not found:
                    late.setblocking(False)
                    late.connect_ex(address)
                return found

            front._accept_one = look_and_be_late  # type: ignore[method-assign]
            front.accept_waiting(is_last=True)
            front.stop_accepting()
            early.setblocking(False)
            async with asyncio.timeout(PATIENCE):
                await loop.sock_sendall(early, PUSH)
                assert (await loop.sock_recv(early, 4096)).startswith(b"HTTP/1.1 200")
                assert await end_of_connecting(late) == errno.ECONNREFUSED


async def end_of_connecting(client: socket.socket) -> int:
    """The error that a connection ends with that was begun without waiting, whether it was made or not."""
    loop = asyncio.get_running_loop()
    writable = asyncio.Event()
    loop.add_writer(client, writable.set)
    await writable.wait()
    loop.remove_writer(client)
    error = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if error:
        return error
    try:
        await loop.sock_sendall(client, PUSH)
        await loop.sock_recv(client, 1)
    except OSError as error_of_use:
        return error_of_use.errno or 0
    return 0
