"""Nothing is read while there is a reason not to, and writers wait for readers, but not for ever."""

import asyncio
import socket

import pytest

from hpns.web import flow_control
from hpns.web.flow_control import FlowControl, Pause, SlowReaderError


class Plain(FlowControl):
    """A connection that counts what comes."""

    def __init__(self) -> None:
        super().__init__()
        self.received = 0
        self.buffer = bytearray(1024)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received += nbytes


async def connected() -> tuple[Plain, socket.socket]:
    """One, and the other end of it."""
    listener = socket.create_server(("127.0.0.1", 0))
    peer = socket.create_connection(listener.getsockname())
    peer.setblocking(False)
    accepted, _ = listener.accept()
    listener.close()
    _, plain = await asyncio.get_running_loop().connect_accepted_socket(Plain, accepted)
    return plain, peer


async def test_it_is_read_from_again_when_the_last_reason_is_gone() -> None:
    plain, peer = await connected()
    plain.pause_reading(Pause.PAGE)
    plain.pause_reading(Pause.BUDGET)
    peer.send(b"x")
    for reason, received in ((Pause.PAGE, 0), (Pause.BUDGET, 1)):
        plain.resume_reading(reason)
        await asyncio.sleep(0.05)
        assert plain.received == received
    plain.abort()
    peer.close()


async def test_who_takes_no_answers_is_not_read_from_and_has_a_while_to_take_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flow_control, "WRITE_TIMEOUT", 0.1)
    plain, peer = await connected()
    await plain.drain()
    plain.write(b"x" * 30_000_000)
    peer.send(b"x")
    with pytest.raises(SlowReaderError):
        await plain.drain()
    assert plain.received == 0
    loop, taken = asyncio.get_running_loop(), 0
    while taken < 30_000_000:
        taken += len(await loop.sock_recv(peer, 1_000_000))
    await asyncio.sleep(0.05)
    await plain.drain()
    assert plain.received == 1
    plain.abort()
    peer.close()
