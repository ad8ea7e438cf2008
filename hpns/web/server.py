"""The parent of the web processes: one listening socket for all of them, and who replaces whom.

granian runs each process; its own way to replace and stop them loses requests (see draining.py), so this class has its
own. Invariants: a process is asked to leave only after its successor serves. The listening socket is open from the
first process to the last, so that a caller who connects in between waits and is not refused.
"""

import logging
import multiprocessing
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from typing import Any

from granian import Granian
from granian.constants import SSLProtocols
from granian.net import SocketHolder

from hpns.web import draining
from hpns.web.certificates import Pair, Renewal

logger = logging.getLogger(__name__)

BACKLOG = 2048
# Milliseconds for which somebody may take nothing of what was sent to them.
TAKES_NOTHING = 60_000
# Seconds between two looks at the certificate, and for a new process until it serves.
LOOK, START_PATIENCE = 0.5, 30.0
# Seconds before a process that ended by itself is started again; doubled each time, and forgotten after WELL seconds.
FIRST_PAUSE, LONGEST_PAUSE, WELL = 0.5, 30.0, 60.0
# So many ends before the first process has served are no accident.
TRIES = 3


def listening(family: int, kind: int) -> socket.socket:
    """A socket to listen on, not bound yet; whatever is accepted from it inherits its options."""
    listener = socket.socket(family, kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Whoever takes nothing of an answer for so long has no connection any more, and holds no file open.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TAKES_NOTHING)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return listener


class WebProcess:
    """One web process. `ready`: it serves; it says so by a byte in a pipe."""

    def __init__(self, process: multiprocessing.Process) -> None:
        """Start it."""
        self.pipe, told = os.pipe()
        draining.INHERITED.ready_pipe = told
        process.start()
        draining.INHERITED.ready_pipe = None
        os.close(told)
        self._process = process
        self.pid = process.pid or 0
        self.sentinel: int = process.sentinel
        self.since = time.monotonic()
        self.ready = False
        self.until = 0.0  # when a process that was replaced has had its time

    def look(self) -> bool:
        """Whether it serves."""
        if not self.ready and select.select([self.pipe], [], [], 0)[0]:
            self.ready = os.read(self.pipe, 1) == draining.READY
        return self.ready

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.is_alive()

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal, if it is there."""
        if self.alive():
            os.kill(self.pid, number)

    def close(self) -> int:
        """Forget a process that has ended; returns its exit code."""
        self._process.join()
        os.close(self.pipe)
        return self._process.exitcode or 0


class WebServer(Granian):  # type: ignore[misc]
    """granian's server with the parent described above. `patience`: seconds for a process that leaves."""

    def __init__(self, *arguments: Any, renewal: Renewal | None, patience: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._renewal, self._patience = renewal, patience
        self._slots: list[WebProcess] = []
        self._replaced: list[WebProcess] = []
        self._pause, self._ends, self._served = FIRST_PAUSE, 0, False
        if renewal is not None:
            self._use(renewal.pair)

    def _use(self, pair: Pair) -> None:
        """What granian hands to the processes started from now on: TLS 1.2 or 1.3 with this pair."""
        self.ssl_ctx: tuple[Any, ...] = (
            True,
            pair.certificate,
            pair.key,
            None,
            str(SSLProtocols.tls12),
            None,
            [],
            False,
        )

    # --- granian's hooks

    def signal_handler_interrupt(self, *_: Any) -> None:
        """SIGTERM, SIGINT."""
        self.interrupt_signal = True

    def signal_handler_reload(self, *_: Any) -> None:
        """SIGHUP: replace all processes."""
        self.reload_signal = True

    def _init_shared_socket(self) -> None:
        family, kind, _, _, address = socket.getaddrinfo(self.bind_addr, self.bind_port, type=socket.SOCK_STREAM)[0]
        listener = listening(family, kind)
        try:
            listener.bind(address)
        except OSError as error:
            sys.exit(f"Cannot listen on {self.bind_addr} port {self.bind_port}: {error.strerror}.")
        listener.listen(BACKLOG)
        listener.setblocking(False)
        draining.INHERITED.listener = listener
        self._ssp, self._shd, self._sso = None, SocketHolder(listener.fileno(), False, BACKLOG), None
        # Signals wake the parent from its wait.
        self._bell, ring = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(ring, warn_on_full_buffer=False)

    def _drop_shared_socket(self) -> None:
        if draining.INHERITED.listener is not None:
            draining.INHERITED.listener.close()
            draining.INHERITED.listener = None

    def _spawn_workers(self, spawn_target: Callable[..., None], target_loader: Callable[..., Any]) -> None:
        self._begin_with = (spawn_target, target_loader)
        self._slots = [self._begin(number) for number in range(self.workers)]

    def _serve_loop(self, _spawn_target: Callable[..., None], _target_loader: Callable[..., Any]) -> None:
        while not self.interrupt_signal and self._ends < TRIES:
            self._sleep(LOOK)
            self._keep()
            if self.interrupt_signal:
                break
            if self.reload_signal:
                self.reload_signal = False
                self._replace(self._renewal.read() if self._renewal else None)
            elif self._renewal is not None and (pair := self._renewal.look()):
                self._replace(pair)

    def _stop_workers(self) -> None:
        until, told = time.monotonic() + self._patience, 0.0
        while left := [process for process in [*self._slots, *self._replaced] if process.alive()]:
            now = time.monotonic()
            if now > until:
                for process in left:
                    logger.warning("killing a web process that did not stop within %g s", self._patience)
                    process.tell(signal.SIGKILL)
            elif now > told + 0.5:
                told = now
                for process in left:  # again and again: one that has just been started does not listen yet
                    process.tell(draining.STOPPED)
            wait([process.sentinel for process in left], 0.1)

    def shutdown(self, exit_code: int = 0) -> None:
        """Stop everything; ends the program with 1 when no process could be started."""
        super().shutdown(exit_code or int(self._ends >= TRIES))

    # --- Processes

    def _begin(self, number: int) -> WebProcess:
        target, loader = self._begin_with
        return WebProcess(self._spawn_worker(idx=number, target=target, callback_loader=loader).inner)

    def _sleep(self, seconds: float, *also: int) -> None:
        """Wait for a signal, for the end of a process, for one of the pipes `also`, or so many seconds."""
        alive = [process.sentinel for process in [*self._slots, *self._replaced] if process.alive()]
        if self._bell in wait([self._bell, *alive, *also], seconds):
            os.read(self._bell, 4096)

    def _keep(self) -> None:
        """Start again what ended by itself, and see off those that were replaced."""
        now = time.monotonic()
        for process in list(self._replaced):
            if now > process.until:
                process.tell(signal.SIGKILL)
            if not process.alive():
                process.close()
                self._replaced.remove(process)
        for number, process in enumerate(self._slots):
            self._served |= process.look()
            if process.alive() or self.interrupt_signal:
                continue
            logger.error("a web process ended by itself with code %d", process.close())
            if not self._served:
                self._ends += 1
            self._sleep(self._pause)
            self._pause = FIRST_PAUSE if now - process.since > WELL else min(self._pause * 2, LONGEST_PAUSE)
            self._slots[number] = self._begin(number)

    def _replace(self, pair: Pair | None) -> None:
        """Put a new process in the place of each; with a new pair, if there is one and processes can use it."""
        renewal = self._renewal
        if pair is not None:
            self._use(pair)
        for number, old in enumerate(self._slots):
            new = self._begin(number)
            until = time.monotonic() + START_PATIENCE
            while not new.look() and new.alive() and time.monotonic() < until and not self.interrupt_signal:
                self._sleep(0.5, new.sentinel, new.pipe)
            if not new.ready:
                new.tell(signal.SIGKILL)
                new.close()
                logger.error("a new web process did not start; the old ones go on")
                if renewal is not None and pair is not None:
                    self._use(renewal.pair)
                    renewal.refuse(pair)
                return
            self._slots[number] = new
            old.until = time.monotonic() + draining.REPLACED_SECONDS + self._patience
            old.tell(draining.REPLACED)
            self._replaced.append(old)
        if renewal is not None and pair is not None:
            renewal.take(pair)
        logger.info("new web processes have taken over%s", " with a new certificate" if pair else "")
