"""Supervisor (parent) of the web processes: one listening socket for all of them, and their graceful replacement.

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
from hpns.web.certificates import CertificateReloader, Pair
from hpns.web.pages_child import PagesChild

logger = logging.getLogger(__name__)

BACKLOG = 2048
# Milliseconds for which somebody may take nothing of what was sent to them.
USER_TIMEOUT_MS = 60_000
# Seconds between two looks at the certificate, and for a new process until it serves.
POLL_INTERVAL, START_TIMEOUT = 0.5, 30.0
# Seconds before a process that ended by itself is started again; doubled each time, and forgotten after WELL seconds.
BACKOFF_MIN, BACKOFF_MAX, STABLE_SECONDS = 0.5, 30.0, 60.0
# So many ends before the first process has served are no accident.
START_ATTEMPTS = 3


def listening(family: int, kind: int) -> socket.socket:
    """Create the listening socket, not bound yet; whatever is accepted from it inherits its options."""
    listener = socket.socket(family, kind)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Whoever takes nothing of an answer for so long has no connection any more, and holds no file open.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    return listener


class WebProcess:
    """Handle of one web process. `ready`: it serves; it signals that by a byte in a pipe."""

    def __init__(self, process: multiprocessing.Process) -> None:
        """Start the process."""
        self.pipe, ready_pipe = os.pipe()
        draining.INHERITED.ready_pipe = ready_pipe
        process.start()
        draining.INHERITED.ready_pipe = None
        os.close(ready_pipe)
        self._process = process
        self.pid = process.pid or 0
        self.sentinel: int = process.sentinel
        self.since = time.monotonic()
        self.ready = False
        self.until = 0.0  # when a process that was replaced has had its time

    def check_ready(self) -> bool:
        """Whether it has signalled readiness."""
        if not self.ready and select.select([self.pipe], [], [], 0)[0]:
            self.ready = os.read(self.pipe, 1) == draining.READY
        return self.ready

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.is_alive()

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it is there."""
        if self.alive():
            os.kill(self.pid, number)

    def close(self) -> int:
        """Reap a process that has ended; returns its exit code."""
        self._process.join()
        os.close(self.pipe)
        return self._process.exitcode or 0


class WebServer(Granian):  # type: ignore[misc]
    """granian's server with the supervisor described above. `drain_timeout`: seconds for a process that drains."""

    def __init__(
        self, *arguments: Any, reloader: CertificateReloader | None, drain_timeout: float, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._reloader, self._drain_timeout = reloader, drain_timeout
        self._slots: list[WebProcess] = []
        self._replaced: list[WebProcess] = []
        self._backoff, self._failed_starts, self._served = BACKOFF_MIN, 0, False
        self._pages = PagesChild()
        if reloader is not None:
            self._use_certificate(reloader.pair)

    def _use_certificate(self, pair: Pair) -> None:
        """Set the TLS context of the processes started from now on: TLS 1.2 or 1.3 with this pair."""
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
        self._wakeup_pipe, wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)

    def _drop_shared_socket(self) -> None:
        if draining.INHERITED.listener is not None:
            draining.INHERITED.listener.close()
            draining.INHERITED.listener = None

    def _spawn_workers(self, spawn_target: Callable[..., None], target_loader: Callable[..., Any]) -> None:
        self._spawn_arguments = (spawn_target, target_loader)
        self._pages.start()
        self._slots = [self._start_process(number) for number in range(self.workers)]

    def _serve_loop(self, _spawn_target: Callable[..., None], _target_loader: Callable[..., Any]) -> None:
        while not self.interrupt_signal and self._failed_starts < START_ATTEMPTS:
            self._sleep(POLL_INTERVAL)
            self._supervise()
            self._pages.supervise()
            if self.interrupt_signal:
                break
            if self.reload_signal:
                self.reload_signal = False
                self._pages.replace()
                self._replace(self._reloader.read() if self._reloader else None)
            elif self._reloader is not None and (pair := self._reloader.poll()):
                self._replace(pair)

    def _stop_workers(self) -> None:
        until, signalled_at = time.monotonic() + self._drain_timeout, 0.0
        while running := [process for process in [*self._slots, *self._replaced] if process.alive()]:
            now = time.monotonic()
            if now > until:
                for process in running:
                    logger.warning("killing a web process that did not stop within %g s", self._drain_timeout)
                    process.send_signal(signal.SIGKILL)
            elif now > signalled_at + 0.5:
                signalled_at = now
                for process in running:  # again and again: one that has just been started does not listen yet
                    process.send_signal(draining.STOPPED)
            wait([process.sentinel for process in running], 0.1)
        self._pages.stop()  # the last of them has asked for its last page

    def shutdown(self, exit_code: int = 0) -> None:
        """Stop everything; ends the program with 1 when no process could be started."""
        super().shutdown(exit_code or int(self._failed_starts >= START_ATTEMPTS))

    # --- Processes

    def _start_process(self, number: int) -> WebProcess:
        target, loader = self._spawn_arguments
        return WebProcess(self._spawn_worker(idx=number, target=target, callback_loader=loader).inner)

    def _sleep(self, seconds: float, *also: int) -> None:
        """Wait for a signal, for the end of a process, for one of the pipes `also`, or so many seconds."""
        alive = [process.sentinel for process in [*self._slots, *self._replaced] if process.alive()]
        if self._wakeup_pipe in wait([self._wakeup_pipe, *alive, *also], seconds):
            os.read(self._wakeup_pipe, 4096)

    def _supervise(self) -> None:
        """Restart processes that ended by themselves, with backoff, and reap those that were replaced."""
        now = time.monotonic()
        for process in list(self._replaced):
            if now > process.until:
                process.send_signal(signal.SIGKILL)
            if not process.alive():
                process.close()
                self._replaced.remove(process)
        for number, process in enumerate(self._slots):
            self._served |= process.check_ready()
            if process.alive() or self.interrupt_signal:
                continue
            logger.error("a web process ended by itself with code %d", process.close())
            if not self._served:
                self._failed_starts += 1
            self._sleep(self._backoff)
            self._backoff = BACKOFF_MIN if now - process.since > STABLE_SECONDS else min(self._backoff * 2, BACKOFF_MAX)
            self._slots[number] = self._start_process(number)

    def _replace(self, pair: Pair | None) -> None:
        """Rolling replacement of all processes; with a new pair, if there is one and processes can use it."""
        reloader = self._reloader
        if pair is not None:
            self._use_certificate(pair)
        for number, old in enumerate(self._slots):
            new = self._start_process(number)
            until = time.monotonic() + START_TIMEOUT
            while not new.check_ready() and new.alive() and time.monotonic() < until and not self.interrupt_signal:
                self._sleep(0.5, new.sentinel, new.pipe)
            if not new.ready:
                new.send_signal(signal.SIGKILL)
                new.close()
                logger.error("a new web process did not start; the old ones go on")
                if reloader is not None and pair is not None:
                    self._use_certificate(reloader.pair)
                    reloader.reject(pair)
                return
            self._slots[number] = new
            old.until = time.monotonic() + draining.REPLACED_SECONDS + self._drain_timeout
            old.send_signal(draining.REPLACED)
            self._replaced.append(old)
        if reloader is not None and pair is not None:
            reloader.accept(pair)
        logger.info("new web processes have taken over%s", " with a new certificate" if pair else "")
