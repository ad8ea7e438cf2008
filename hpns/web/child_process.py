"""A process of the web server, started by the parent, and the control socket between the two.

The parent gives a child one end of a pair of AF_UNIX sockets and the number of its descriptor. The child sends READY
once it serves; the parent sends what every child of that kind has to know (to web processes, their certificate). The
end of the parent is the end of that connection, by which a child knows that nobody is left to tell it to stop.
"""

import os
import select
import signal
import socket
import time
from collections.abc import Iterable, Sequence
from typing import Final

from hpns.forking import Launch, execute

# Another process takes over, and nothing is lost if there is time; the service stops, and there is little.
REPLACED, STOPPED = signal.SIGUSR1, signal.SIGTERM
READY: Final = b"1"


class ChildProcess:
    """Handle of one child. `sentinel` becomes readable at its end, `control` when it has something to say."""

    def __init__(
        self,
        command: Sequence[str],
        descriptors: Iterable[int] = (),
        *,
        message: bytes = b"",
        launch: Launch = execute,
    ) -> None:
        """Start it, with these descriptors, a first message, and `--control NUMBER` at the end of its command.

        Raises OSError.
        """
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self.control.setblocking(False)
                self.send(message)
                number = theirs.fileno()
                self._process = launch([*command, "--control", str(number)], [*descriptors, number])
            self.pid = self._process.pid
            self.sentinel = self._watch()
        except OSError:
            self.control.close()
            raise
        self.since = time.monotonic()
        self.ready = False
        self.until = 0.0  # when a child that was replaced has had its time

    def _watch(self) -> int:
        """A descriptor that becomes readable at its end; one that cannot be watched is ended."""
        try:
            return os.pidfd_open(self.pid)
        except OSError:
            self._process.kill()
            self._process.wait()
            raise

    def send(self, message: bytes) -> bool:
        """Send it a message, if it is there and reads them; "" is none."""
        try:
            return bool(message) and self.control.send(message) > 0
        except OSError:
            return False

    def check_ready(self) -> bool:
        """Whether it has said that it serves."""
        if not self.ready and select.select([self.control], [], [], 0)[0]:
            try:
                self.ready = self.control.recv(1) == READY
            except ConnectionError:
                pass  # it has ended
        return self.ready

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is there."""
        self._process.send_signal(number)

    def close(self) -> int:
        """Reap a child that has ended or is about to; returns its exit code."""
        code = self._process.wait()
        if self.sentinel >= 0:
            os.close(self.sentinel)
            self.control.close()
            self.sentinel = -1
        return code
