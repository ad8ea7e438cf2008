"""Flow control of a connection: it is not read from while there is a reason not to, and writers wait for slow readers.

Invariant: whatever nobody takes at once stays with the peer, not in this process.
"""

import asyncio
from enum import IntFlag
from typing import Final

# Seconds for a reader to take what is in the buffers of its connection.
WRITE_TIMEOUT: Final = 60.0


class SlowReaderError(ConnectionError):
    """The peer has not taken enough of what was written within WRITE_TIMEOUT."""


class Pause(IntFlag):
    """Reasons not to read: requests wait for their turn; the peer takes nothing; a page takes no more of its body;
    there is no room for the body; too much is thrown away."""

    PIPELINED = 1
    WRITING = 2
    PAGE = 4
    BUDGET = 8
    DISCARD = 16


class FlowControl(asyncio.BufferedProtocol):
    """The half of a connection's protocol that is about its transport."""

    __slots__ = ("_paused", "_transport", "_writable", "is_lost")

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self.is_lost = False
        self._paused = 0
        self._writable: asyncio.Future[None] | None = None

    def write(self, data: bytes) -> None:
        """Write; what nobody reads any more is dropped."""
        if self._transport is not None and not self.is_lost:
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what was written. Raises SlowReaderError."""
        if self._writable is not None:
            try:
                async with asyncio.timeout(WRITE_TIMEOUT):
                    await asyncio.shield(self._writable)
            except TimeoutError:
                raise SlowReaderError from None

    def pause_writing(self) -> None:
        """The peer takes nothing at the moment: nothing more is taken from it, either."""
        self._writable = asyncio.get_running_loop().create_future()
        self.pause_reading(Pause.WRITING)

    def resume_writing(self) -> None:
        """It takes again, or is gone."""
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None
            self.resume_reading(Pause.WRITING)

    def pause_reading(self, reason: Pause) -> None:
        """Stop reading for one more reason."""
        if not self._paused and self._transport is not None and not self.is_lost:
            self._transport.pause_reading()
        self._paused |= reason.value

    def resume_reading(self, reason: Pause) -> None:
        """That reason is gone."""
        if self._paused:
            self._paused &= ~reason.value
            if not self._paused and self._transport is not None and not self.is_lost:
                self._transport.resume_reading()

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None and not self.is_lost:
            self._transport.abort()
