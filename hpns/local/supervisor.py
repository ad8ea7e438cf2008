"""Process supervisor: starts the processes in order, keeps them running, stops them in the reverse order.

Invariant: whatever was started is stopped again, newest first, each within its time; whoever is not done by then is
killed with its group. One thread: children are bound to it, and every wait notices a signal at once.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Self

from hpns.local.folder import Folder
from hpns.local.logs import Watcher, end_of
from hpns.local.problem import ProblemError
from hpns.local.process import Child, Spec, bound_to_parent, ended, started_at

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
BACKOFF_MIN, BACKOFF_MAX = 0.5, 30.0
# Seconds after which a process counts as having run well, and its next end as a new story.
STABLE_SECONDS = 60.0
# So many ends before the service is ready are no accident any more.
START_ATTEMPTS = 3
CHILDREN = "children.json"


class StoppedError(Exception):
    """A stop was requested while we waited for something."""


@dataclass(slots=True)
class _Slot:
    """A supervised process: its child now, or when it is to be restarted."""

    spec: Spec
    child: Child | None
    ends: int = 0
    again_at: float = 0.0


class Supervisor:
    """Use as a context manager, in the main thread; leaving it stops everything.

    `print_line` gets each line for the person at the terminal; `on_change` is called after a process was started again;
    `stop_requests` counts the requests to stop.
    """

    def __init__(self, folder: Folder, print_line: Callable[[str], None]) -> None:
        self._folder = folder
        self._print_line = print_line
        self._slots: list[_Slot] = []
        self._logs = Watcher()
        self.stop_requests = 0
        self._last = signal.SIGTERM
        self._settled = False
        self.on_change: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        self._wakeup_read, self._wakeup_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._wakeup_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # so that a child's end wakes us
        self._before = {number: signal.signal(number, self._on_stop_signal) for number in STOP_SIGNALS}
        self._end_leftovers()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._wakeup_read)
        os.close(self._wakeup_write)

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each running process by name."""
        return {slot.spec.name: slot.child.pid for slot in self._slots if slot.child}

    def log_of(self, name: str) -> Path:
        """The log file of the process `name`."""
        return next(slot.spec.log for slot in self._slots if slot.spec.name == name)

    def start(self, spec: Spec) -> None:
        """Start a process; it is kept running from now on. Raises ProblemError."""
        self._logs.follow(spec.log)
        self._slots.append(_Slot(spec, Child(spec)))
        self._write_children()

    def until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Keep everything running until `done()`; False when that took longer than `seconds`.

        Raises StoppedError when a stop is asked for, ProblemError when a process ends again and again.
        """
        limit = time.monotonic() + seconds
        pause = 0.01
        while True:
            if self.stop_requests:
                raise StoppedError
            self._supervise()
            if done():
                return True
            if time.monotonic() >= limit:
                return False
            self._sleep(pause)
            pause = min(pause * 1.5, 0.2)

    def ready(self, *names: str, seconds: float = 60.0) -> None:
        """Wait until the named processes serve. Raises ProblemError with the log's last lines, or StoppedError."""
        waiting = [slot for slot in self._slots if slot.spec.name in names]

        def all_serve() -> bool:
            waiting[:] = [slot for slot in waiting if not (slot.child and slot.spec.ready())]
            return not waiting

        if not self.until(all_serve, seconds):
            slot = waiting[0]
            raise ProblemError(f"{slot.spec.name} is not ready after {seconds:.0f} s; {end_of(slot.spec.log)}")

    def succeed(self, spec: Spec, seconds: float) -> None:
        """Run a command to its end, everything else kept running meanwhile. Raises ProblemError unless it succeeds."""
        child = Child(spec)
        try:
            if not self.until(lambda: child.poll() is not None, seconds):
                raise ProblemError(f"{spec.name} took longer than {seconds:.0f} s; {end_of(spec.log)}")
        finally:
            child.kill()
        code = child.poll()
        if code:
            raise ProblemError(f"{spec.name} failed: it {ended(code)}; {end_of(spec.log)}")

    def foreground(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        stop_signal: signal.Signals | None = None,
    ) -> int:
        """Run a command at our terminal and return its exit code, as a shell does (128 + number for a signal).

        A request to stop is passed on as it came, or as `stop_signal`; the terminal's Ctrl-C reaches the command by
        itself.
        """
        process = subprocess.Popen(
            command,
            env=dict(env),
            preexec_fn=bound_to_parent(signal.SIGTERM),  # noqa: PLW1509 - no threads here
        )
        forwarded = self.stop_requests
        while process.poll() is None:
            self._supervise()
            if self.stop_requests > forwarded:
                forwarded = self.stop_requests
                if self._last != signal.SIGINT or not sys.stdin.isatty():
                    process.send_signal(stop_signal or self._last)
            self._sleep(0.5)
        return process.returncode if process.returncode >= 0 else 128 - process.returncode

    def settled(self) -> None:
        """The start is over: from now on a process that ends is started again however often."""
        self._settled = True

    def watch(self) -> None:
        """Supervise until a stop is requested, and show the error lines of the logs."""
        while not self.stop_requests:
            self._supervise()
            for line in self._logs.error_lines():
                self._print_line(line)
            self._sleep(0.5)

    def stop(self) -> None:
        """Stop everything, newest first. A second request to stop cuts the waiting to a second each."""
        requests_before = self.stop_requests
        while self._slots:
            slot = self._slots.pop()
            if not slot.child:
                continue
            slot.child.send_stop_signal()
            since = time.monotonic()
            while slot.child.poll() is None:
                allowed = 1.0 if self.stop_requests > max(requests_before, 1) else slot.spec.stop_seconds
                if time.monotonic() - since > allowed:
                    self._print_line(f"{slot.spec.name} did not stop within {allowed:.0f} s and was killed.")
                    slot.child.kill()
                    break
                self._sleep(0.1)
        self._write_children()

    def _on_stop_signal(self, number: int, frame: FrameType | None) -> None:
        self.stop_requests += 1
        self._last = signal.Signals(number)

    def _sleep(self, seconds: float) -> None:
        """Sleep, but wake for any signal: the handler ran, its number is in the pipe."""
        if select.select([self._wakeup_read], [], [], seconds)[0]:
            os.read(self._wakeup_read, 4096)

    def _supervise(self) -> None:
        """Restart processes that have ended, with exponential backoff."""
        changed = False
        for slot in self._slots:
            now = time.monotonic()
            if slot.child:
                code = slot.child.poll()
                if code is None:
                    continue
                slot.ends = 1 if now - slot.child.started > STABLE_SECONDS else slot.ends + 1
                if not self._settled and slot.ends >= START_ATTEMPTS:
                    raise ProblemError(f"{slot.spec.name} does not start: it {ended(code)}; {end_of(slot.spec.log)}")
                pause = min(BACKOFF_MIN * 2 ** (slot.ends - 1), BACKOFF_MAX)
                self._print_line(f"{slot.spec.name} {ended(code)}; it is started again in {pause:g} s.")
                slot.child, slot.again_at = None, now + pause
            elif now >= slot.again_at:
                slot.child = Child(slot.spec)
                changed = True
        if changed:
            self._write_children()
            self.on_change()

    def _write_children(self) -> None:
        """Write the children's process ids, so that the next start finds them should we and our guard be killed."""
        running = {slot.spec.name: slot.child.pid for slot in self._slots if slot.child}
        self._folder.write(CHILDREN, {name: [pid, started_at(pid)] for name, pid in running.items()})

    def _end_leftovers(self) -> None:
        """End what a start that was killed has left. The folder's lock is ours, so nobody needs them any more."""
        orphans = {
            name: pid for name, (pid, when) in self._folder.read(CHILDREN).items() if when and started_at(pid) == when
        }
        for name, pid in reversed(orphans.items()):
            self._print_line(f"Stopping {name} (process {pid}) of an earlier start.")
            # SIGINT stops PostgreSQL cleanly; everything else of ours takes it for Ctrl-C.
            for number, seconds in ((signal.SIGINT, 10.0), (signal.SIGKILL, 5.0)):
                try:
                    os.killpg(pid, number)
                except ProcessLookupError:
                    break
                limit = time.monotonic() + seconds
                while started_at(pid) and time.monotonic() < limit:
                    time.sleep(0.05)
        self._folder.write(CHILDREN, {})
