"""Supervisor (parent) of the web server's processes: one listening socket for all of them, and their graceful
replacement.

It knows slots, each with a function that starts its process (child_process.py), and one program more that serves with
them (pages_child.py). Invariants: a process is asked to leave only after its successor serves. The listening socket is
open from the first process to the last, so that a caller who connects in between waits and is not refused.
"""

import logging
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from typing import Final, Protocol

from hpns.web.certificates import CertificateReloader
from hpns.web.child_process import REPLACED, STOPPED, ChildProcess
from hpns.web.last_connections import refuse_newcomers

logger = logging.getLogger(__name__)

BACKLOG: Final = 2048
# Milliseconds for which somebody may take nothing of what was sent to them.
USER_TIMEOUT_MS = 60_000
# Bytes that the kernel keeps of what a connection has sent and nobody has read: more than any push, and no more than a
# thousand connections from one address may cost.
RECEIVE_BUFFER: Final = 128 * 1024
# Seconds between two looks at the certificate, and for a new process until it serves.
SUPERVISE_INTERVAL, POLL_INTERVAL, START_TIMEOUT = 1.0, 0.5, 30.0
# Seconds before a process that ended by itself is started again; doubled each time, forgotten after STABLE_SECONDS.
BACKOFF_MIN, BACKOFF_MAX, STABLE_SECONDS = 0.5, 30.0, 60.0
# So many ends before the first process has served are no accident.
START_ATTEMPTS = 3
# Seconds for which a process that was replaced serves on (draining.py), beyond the time for what it has to answer.
REPLACED_SECONDS = 100.0


def listening(family: int, kind: int) -> socket.socket:
    """Create the listening socket, not bound yet; whatever is accepted from it inherits its options."""
    listener = socket.socket(family, kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Whoever takes nothing of an answer for so long has no connection any more, and holds no file open.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return listener


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket; ends the program with one line when that is not possible."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = listening(family, kind)
        listener.bind(address)
    except OSError as error:
        sys.exit(f"Cannot listen on {host} port {port}: {error.strerror}.")
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


@dataclass
class Slot:
    """A place for one process. `start` starts it; `takes_certificate`: a renewed certificate is sent to it."""

    name: str
    start: Callable[[], ChildProcess]
    takes_certificate: bool = False
    process: ChildProcess | None = field(default=None, init=False)
    served: bool = field(default=False, init=False)
    backoff: float = field(default=BACKOFF_MIN, init=False)
    not_before: float = field(default=0.0, init=False)

    def put_off(self, now: float) -> None:
        """Start none before the back-off is over."""
        self.not_before, self.backoff = now + self.backoff, min(self.backoff * 2, BACKOFF_MAX)


class Companion(Protocol):
    """A program that serves with the web processes, which inherit how to reach it. None of these waits."""

    def start(self) -> None:
        """Start it."""

    def supervise(self) -> None:
        """Look after it; called once in SUPERVISE_INTERVAL or more often."""

    def replace(self) -> None:
        """Begin to replace it."""

    def stop(self) -> None:
        """Stop it."""


class WebServer:
    """The supervisor. `drain_timeout`: seconds for a process that stops to answer what it has."""

    def __init__(
        self,
        listener: socket.socket,
        slots: Iterable[Slot],
        *,
        reloader: CertificateReloader | None,
        drain_timeout: float,
        beside: Companion | None = None,
    ) -> None:
        self._listener, self._slots, self._beside = listener, list(slots), beside
        self._reloader, self._drain_timeout = reloader, drain_timeout
        self._replaced: list[ChildProcess] = []
        self._failed_starts = 0
        self._is_stopping = self._is_reloading = False
        # Signals wake the parent from its wait.
        self._wakeups = socket.socketpair()
        for end in self._wakeups:
            end.setblocking(False)

    def serve(self) -> int:
        """Serve until SIGTERM or SIGINT; SIGHUP replaces all processes. Returns the exit code."""
        signals = {signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGHUP: self.reload}
        before = {number: signal.signal(number, handler) for number, handler in signals.items()}
        signal.set_wakeup_fd(self._wakeups[1].fileno(), warn_on_full_buffer=False)
        try:
            return self.supervise()
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)

    def supervise(self) -> int:
        """The same without the signals: until stop()."""
        if self._beside is not None:
            self._beside.start()
        for slot in self._slots:
            self._start(slot)
        while not self._is_stopping and self._failed_starts < START_ATTEMPTS:
            self._sleep(SUPERVISE_INTERVAL)
            self._supervise()
            self._renew()
        refuse_newcomers(self._listener)  # before the last of them looks who has connected
        self._listener.close()
        self._stop([*(slot.process for slot in self._slots), *self._replaced])
        if self._beside is not None:
            self._beside.stop()  # the last of them has asked for its last page
        return int(self._failed_starts >= START_ATTEMPTS)

    def stop(self, *_: object) -> None:
        """Stop all processes, soon."""
        self._is_stopping = True

    def reload(self, *_: object) -> None:
        """Replace all processes, soon."""
        self._is_reloading = True

    def _running(self) -> list[ChildProcess]:
        found = [*(slot.process for slot in self._slots), *self._replaced]
        return [process for process in found if process is not None and process.alive()]

    def _sleep(self, seconds: float, *also: ChildProcess) -> None:
        """Wait for a signal, for the end of a process, for a word of those in `also`, or so many seconds."""
        ends = [process.sentinel for process in self._running()]
        woken = self._wakeups[0]
        if woken in wait([woken, *ends, *(process.control for process in also)], seconds):
            woken.recv(4096)

    def _start(self, slot: Slot) -> None:
        """Start the process of a slot; where the kernel gives none (EAGAIN, ENOMEM, EMFILE), it is tried again."""
        slot.process = _started(slot)
        if slot.process is None:
            self._failed_starts += not slot.served
            slot.put_off(time.monotonic())

    def _supervise(self) -> None:
        """Restart processes that ended by themselves, with backoff, and reap those that were replaced."""
        if self._beside is not None:
            self._beside.supervise()
        now = time.monotonic()
        for old in list(self._replaced):
            if now > old.until:
                old.send_signal(signal.SIGKILL)
            if not old.alive():
                old.close()
                self._replaced.remove(old)
        for slot in self._slots:
            if (process := slot.process) is None:
                if now >= slot.not_before and not self._is_stopping:
                    self._start(slot)
                continue
            slot.served |= process.check_ready()
            if process.alive() or self._is_stopping:
                continue
            logger.error("the %s ended by itself with code %d", slot.name, process.close())
            self._failed_starts += not slot.served
            if now - process.since > STABLE_SECONDS:
                slot.backoff = BACKOFF_MIN
            slot.put_off(now)
            slot.process = None

    def _renew(self) -> None:
        """Replace all processes when that was asked for, and hand a renewed certificate to those that run."""
        is_reloading, self._is_reloading = self._is_reloading, False
        if self._reloader is not None and (self._reloader.read() if is_reloading else self._reloader.poll()):
            for slot in self._slots:
                if slot.takes_certificate and slot.process is not None and not slot.process.send(self._reloader.pair):
                    logger.error("the %s does not take the renewed certificate", slot.name)
            logger.info("the renewed certificate is in use from now on")
        if is_reloading and not self._is_stopping:
            self._replace_all()

    def _replace_all(self) -> None:
        """Rolling replacement of all processes."""
        if self._beside is not None:
            self._beside.replace()
        for slot in self._slots:
            new = _started(slot)
            if new is None:
                logger.error("no new %s; the old ones go on", slot.name)
                return
            until = time.monotonic() + START_TIMEOUT
            while not new.check_ready() and new.alive() and time.monotonic() < until and not self._is_stopping:
                self._sleep(POLL_INTERVAL, new)
                if self._beside is not None:
                    self._beside.supervise()
            if not new.ready:
                new.send_signal(signal.SIGKILL)
                new.close()
                logger.error("a new %s did not start; the old ones go on", slot.name)
                return
            old, slot.process = slot.process, new
            if old is not None:
                old.until = time.monotonic() + REPLACED_SECONDS + self._drain_timeout
                old.send_signal(REPLACED)
                self._replaced.append(old)
        logger.info("new processes have taken over")

    def _stop(self, processes: Iterable[ChildProcess | None]) -> None:
        """Stop these; those that take too long are killed."""
        until, signalled_at = time.monotonic() + self._drain_timeout, 0.0
        while running := [process for process in processes if process is not None and process.alive()]:
            now = time.monotonic()
            if now > until:
                for process in running:
                    logger.warning("killing a process that did not stop within %g s", self._drain_timeout)
                    process.send_signal(signal.SIGKILL)
            elif now > signalled_at + POLL_INTERVAL:
                signalled_at = now
                for process in running:  # again and again: one that has just been started does not listen yet
                    process.send_signal(STOPPED)
            wait([process.sentinel for process in running], 0.1)


def _started(slot: Slot) -> ChildProcess | None:
    """A new process for a slot; None, and a line in the log, where the kernel gives none."""
    try:
        return slot.start()
    except OSError as error:
        logger.error("the %s could not be started: %s", slot.name, error.strerror)
        return None
