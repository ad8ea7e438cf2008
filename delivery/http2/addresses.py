"""A TCP connection to a name: all its addresses, the next one beside a slow one (Happy Eyeballs, RFC 8305)."""

import asyncio
import socket
from typing import Any, Final

from delivery.outcomes.transport import TransportFault

NEXT_ADDRESS_SECONDS: Final = 0.25
"""After so long without an answer the next address is tried beside it (RFC 8305, 5)."""
KEEPALIVE_SECONDS: Final = 30


class DialError(Exception):
    """No connection: the text is a remark for the log."""

    def __init__(self, fault: TransportFault, text: str) -> None:
        super().__init__(text)
        self.fault = fault


async def connect(loop: asyncio.AbstractEventLoop, host: str, port: int, fault: TransportFault) -> socket.socket:
    """Return a connection to the first address that takes one. DialError; `fault` is for a name that is not known."""
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DialError(fault, f"the name {host} cannot be resolved ({error.strerror})") from error
    addresses = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    tries: set[asyncio.Task[socket.socket]] = set()
    trouble: BaseException | None = None
    winner: socket.socket | None = None
    try:
        while winner is None and (addresses or tries):
            if addresses:
                tries.add(loop.create_task(_try(loop, *addresses.pop(0))))
            done, tries = await asyncio.wait(
                tries, timeout=NEXT_ADDRESS_SECONDS if addresses else None, return_when=asyncio.FIRST_COMPLETED
            )
            for one in done:
                trouble = one.exception()
                if trouble is not None:
                    continue
                if winner is None:
                    winner = one.result()
                else:
                    one.result().close()
    finally:
        for one in tries:
            one.add_done_callback(_close_latecomer)
            one.cancel()
    if winner is None:
        raise DialError(TransportFault.CONNECT, getattr(trouble, "strerror", None) or str(trouble))
    return winner


def _close_latecomer(one: asyncio.Task[socket.socket]) -> None:
    """Close the connection of a try that was no longer wanted and came through all the same."""
    if not one.cancelled() and one.exception() is None:
        one.result().close()


async def _try(loop: asyncio.AbstractEventLoop, family: int, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
            sock.setsockopt(socket.IPPROTO_TCP, option, KEEPALIVE_SECONDS)
        await loop.sock_connect(sock, address)
    except BaseException:  # a cancelled try, too, leaves no open socket
        sock.close()
        raise
    return sock
