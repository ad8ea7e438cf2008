"""A TCP connection to a name: its addresses raced with Happy Eyeballs (RFC 8305), by the library aiohappyeyeballs.

IPv6 and IPv4 addresses take turns, so that a family of which nothing answers costs one wait, however many addresses it
has. Invariant: of the sockets of a race all but the winner's are closed when it ends, however it ends.
"""

import asyncio
import socket
from typing import Final

from aiohappyeyeballs import AddrInfoType, start_connection

from delivery.outcomes.transport import TransportFault

NEXT_ADDRESS_SECONDS: Final = 0.25
"""After so long without an answer the next address is tried beside it (RFC 8305, 5)."""
KEEPALIVE_SECONDS: Final = 30


class DialError(Exception):
    """No connection: the text is a remark for the log."""

    def __init__(self, fault: TransportFault, text: str) -> None:
        super().__init__(text)
        self.fault = fault


async def connect(
    loop: asyncio.AbstractEventLoop,
    host: str,
    port: int,
    unknown: TransportFault = TransportFault.DNS,
    unreachable: TransportFault = TransportFault.CONNECT,
) -> socket.socket:
    """Return a connection to the first address that takes one. DialError; the faults are for a name that is not known,
    and for addresses none of which takes a connection."""
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise DialError(unknown, f"the name {host} cannot be resolved ({error.strerror})") from error
    try:
        winner = await start_connection(
            list(dict.fromkeys(found)),
            happy_eyeballs_delay=NEXT_ADDRESS_SECONDS,
            interleave=1,
            loop=loop,
            socket_factory=_socket,
        )
    except (OSError, RuntimeError) as error:  # uvloop raises the second in places where asyncio raises the first
        raise DialError(unreachable, getattr(error, "strerror", None) or str(error)) from error
    task = asyncio.current_task(loop)
    if task is not None and task.cancelling():
        # The race waits for its losers to end, and does not pass on that it was cancelled at that moment.
        winner.close()
        raise asyncio.CancelledError
    return winner


def _socket(address: AddrInfoType) -> socket.socket:
    """Make the socket for one try; the race closes it."""
    family, kind, protocol, _, _ = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL):
            sock.setsockopt(socket.IPPROTO_TCP, option, KEEPALIVE_SECONDS)
    except BaseException:
        sock.close()
        raise
    return sock
