"""Graceful draining of a web process: when the service stops, and when a new process takes its place.

All web processes accept from one listening socket. A process that drains stops accepting: dup2() puts an unnamed
AF_UNIX listener over the listening descriptor, so that the accept loop finds nothing while handshakes in progress go
on. It answers what it has and what still comes on its open connections, each with `Connection: close`, and ends when
they are closed. granian by itself would break off TLS handshakes and close connections with a request on its way.

Invariant: a request that this process has accepted is answered, unless it takes longer than the drain timeout of
server.py.
"""

import asyncio
import logging
import os
import select
import signal
import socket
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hpns.processes import PR_SET_PDEATHSIG, prctl

logger = logging.getLogger(__name__)

# Another process takes over: Mattermost keeps an idle connection for 90 s (Go's IdleConnTimeout), and does not repeat
# a push whose connection we close at that moment. Only after that time can nothing come any more.
REPLACED = signal.SIGUSR1
REPLACED_SECONDS = 100.0
# The service stops: whoever asks next is refused anyway, so idle connections get less time.
STOPPED = signal.SIGTERM
STOPPED_SECONDS = 1.5
# What makes granian end a process: its answers are sent, then `__rsgi_del__`.
END = signal.SIGINT
POLL_INTERVAL = 0.1
# For granian to accept what stands in the kernel's queue; it does so in a thread of its own, within microseconds.
QUEUE_SECONDS = 0.3
READY = b"1"


@dataclass
class Inherited:
    """File descriptors inherited from the parent; none where granian was started without ours."""

    listener: socket.socket | None = None
    ready_pipe: int | None = None


# Set by the parent before it forks.
INHERITED = Inherited()


def signal_ready() -> None:
    """Signal readiness to the parent by a byte in the pipe; called on the loop, which runs only once granian serves."""
    if INHERITED.ready_pipe is not None:
        os.write(INHERITED.ready_pipe, READY)
        os.close(INHERITED.ready_pipe)
        INHERITED.ready_pipe = None


class Drainer:
    """Signal handlers that drain a web process, installed on its loop before it serves. `on_drain` is called once, when
    draining begins."""

    def __init__(self, loop: asyncio.AbstractEventLoop, listener: socket.socket, on_drain: Callable[[], None]) -> None:
        self._loop = loop
        self._listener = listener
        self._port: int = listener.getsockname()[1]
        self._on_drain = on_drain
        self._deadline = 0.0
        # In place of granian's handler. It goes also to the processes of a parent that was killed.
        loop.add_signal_handler(STOPPED, self._drain, STOPPED_SECONDS)
        loop.add_signal_handler(REPLACED, self._drain, REPLACED_SECONDS)
        prctl(PR_SET_PDEATHSIG, STOPPED)

    def _drain(self, seconds: float) -> None:
        deadline = self._loop.time() + seconds
        if self._deadline:
            self._deadline = min(self._deadline, deadline)
            return
        self._deadline = deadline
        self._stop_accepting(wait=seconds == STOPPED_SECONDS)
        self._on_drain()
        self._exit_when_drained()

    def _stop_accepting(self, *, wait: bool) -> None:
        """dup2() an unnamed AF_UNIX listener over the listening descriptor, so that the accept loop finds nothing while
        handshakes in progress go on.

        granian accepts by the number of the descriptor; the other processes keep theirs. `wait`: let it first take
        what stands in the accept queue, for nobody else will.
        """
        queue = select.poll()
        queue.register(self._listener, select.POLLIN)
        until = self._loop.time() + QUEUE_SECONDS
        while wait and queue.poll(0) and self._loop.time() < until:
            time.sleep(0.001)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unnamed:
            unnamed.bind("")  # a name that the kernel makes up
            unnamed.listen()
            unnamed.setblocking(False)
            os.dup2(unnamed.fileno(), self._listener.fileno())

    def _exit_when_drained(self) -> None:
        if self._loop.time() < self._deadline and self._connections():
            self._loop.call_later(POLL_INTERVAL, self._exit_when_drained)
        else:
            os.kill(os.getpid(), END)

    def _connections(self) -> int:
        """How many connections of callers are open in this process, those in a handshake too."""
        return sum(_local_port(int(entry.name)) == self._port for entry in Path("/proc/self/fd").iterdir())


def _local_port(number: int) -> int:
    """The local port of the connected TCP socket with this file number, else 0."""
    try:
        if not stat.S_ISSOCK(os.fstat(number).st_mode):
            return 0
        found = socket.socket(fileno=number)
    except OSError:  # closed by now
        return 0
    try:
        if found.family not in (socket.AF_INET, socket.AF_INET6) or found.type != socket.SOCK_STREAM:
            return 0
        found.getpeername()
        return int(found.getsockname()[1])
    except OSError:  # not connected (any more)
        return 0
    finally:
        found.detach()
