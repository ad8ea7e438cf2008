"""Graceful draining of a web process: when the service stops, and when a new process takes its place.

All web processes accept from one listening socket. A process that drains stops accepting, answers what it has and what
still comes on its open connections, each with `Connection: close`, and ends when they are closed. Signals and the
parent's end begin it (child_process.py). A process that is stopped cannot know whether it is the only one, and others
go on: it takes on whoever comes for LAST_SECONDS, in which a parent that stops as well closes the door for all
(last_connections.py), and leaves the listening socket as it is. It closes that door itself when the parent has died.

Invariant: a request that this process has accepted is answered, unless it takes longer than the drain timeout of
server.py.
"""

import asyncio
import logging
import signal
import socket
import ssl
from collections.abc import Callable
from typing import Final

from hpns.web import certificates
from hpns.web.child_process import READY, REPLACED, STOPPED
from hpns.web.front_door import FrontDoor
from hpns.web.server import REPLACED_SECONDS

logger = logging.getLogger(__name__)

# Another process takes over: Mattermost keeps an idle connection for 90 s (Go's IdleConnTimeout), and does not repeat
# a push whose connection we close at that moment. Only after that time can nothing come any more: REPLACED_SECONDS.
# The service stops: whoever asks next is refused anyway, so idle connections get less time.
STOPPED_SECONDS: Final = 1.5
# Of these, the seconds for which one that is stopped still accepts. The parent may hear of the stop after us.
LAST_SECONDS: Final = 0.2
POLL_INTERVAL: Final = 0.1


class Drainer:
    """Signal handlers that drain a front door, and the talk with the parent; for the running loop."""

    def __init__(self, door: FrontDoor, control: socket.socket, on_drained: Callable[[], None]) -> None:
        """`on_drained`: called when nothing is left to do."""
        self._door, self._control, self._on_drained = door, control, on_drained
        self._loop = asyncio.get_running_loop()
        self._deadline = 0.0
        self._parent_lives = True
        self._loop.add_signal_handler(STOPPED, self._drain, STOPPED_SECONDS)
        self._loop.add_signal_handler(REPLACED, self._drain, REPLACED_SECONDS)
        # A Ctrl+C goes to all processes of a terminal; the parent says what is to be done.
        self._loop.add_signal_handler(signal.SIGINT, lambda: None)
        control.setblocking(False)
        self._loop.add_reader(control, self._on_message)

    def signal_ready(self) -> None:
        """Tell the parent that this process serves."""
        self._control.send(READY)

    def _on_message(self) -> None:
        """The parent has sent a renewed certificate, or has ended."""
        try:
            message = self._control.recv(certificates.PAIR_MAX)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._loop.remove_reader(self._control)
            self._parent_lives = False
            self._drain(STOPPED_SECONDS)
            return
        try:
            self._door.use_certificate(certificates.context(message))
        except (ssl.SSLError, ValueError) as error:  # the parent has tried it
            logger.error("a renewed certificate cannot be used: %s", error)

    def _drain(self, seconds: float) -> None:
        deadline = self._loop.time() + seconds
        if self._deadline:
            self._deadline = min(self._deadline, deadline)
            return
        self._deadline = deadline
        self._door.is_draining = True
        if not self._parent_lives:  # whoever follows cannot listen before we leave off
            self._accept_last()
        elif seconds == STOPPED_SECONDS:
            self._loop.call_later(LAST_SECONDS, self._accept_last)
        else:
            self._door.stop_accepting()
            self._exit_when_drained()

    def _accept_last(self) -> None:
        self._loop.call_soon(self._exit_when_drained)  # after this, and whatever becomes of this
        self._door.accept_waiting(is_last=not self._parent_lives)
        self._door.stop_accepting()

    def _exit_when_drained(self) -> None:
        # First the next look: should this one fail, there is another.
        timer = self._loop.call_later(POLL_INTERVAL, self._exit_when_drained)
        if self._loop.time() >= self._deadline:
            self._door.close_idle()
        if not self._door.table.count:
            timer.cancel()
            self._on_drained()
