"""Turns of the event loop: what one read has brought is processed in parts, so that no peer holds up everybody else.

A read may bring 256 KB, and of the worst of frames that is a second's work. Invariant: bytes are processed in their
order, no more than TURN_BYTES of a connection in one turn, and nothing more is read meanwhile, so that what waits here
is the rest of one read.
"""

from collections.abc import Callable
from typing import Any, Final

TURN_BYTES: Final = 16_384
"""The answers of 300 pushes; even of the worst of a peer's frames no more than some milliseconds take."""


class Turns:
    """What one connection has read and not processed yet."""

    def __init__(self, process: Callable[[bytes], None], call_soon: Callable[..., object]) -> None:
        """process: takes a part; call_soon: the loop's."""
        self.unread = b""
        self._process, self._call_soon = process, call_soon
        self._transport: Any = None

    def defer(self, data: bytes, transport: Any) -> None:
        """Process these bytes from the next turn on, behind those that wait already."""
        if not self.unread:
            self._transport = transport
            transport.pause_reading()
            self._call_soon(self._on_turn)
        self.unread += data

    def drain(self) -> None:
        """Process all that waits at once: the connection has ended."""
        while self.unread:
            self._take_turn()

    def _on_turn(self) -> None:
        self._take_turn()
        if self.unread:
            self._call_soon(self._on_turn)
        elif not self._transport.is_closing():
            self._transport.resume_reading()

    def _take_turn(self) -> None:
        data, self.unread = self.unread[:TURN_BYTES], self.unread[TURN_BYTES:]
        self._process(data)
