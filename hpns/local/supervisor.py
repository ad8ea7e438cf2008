"""Starts the processes in order, keeps them running, stops them in the reverse order.

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
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
# Seconds after which a process counts as having run well, and its next end as a new story.
WELL = 60.0
# So many ends before the service is ready are no accident any more.
TRIES_AT_START = 3
CHILDREN = "children.json"


class StoppedError(Exception):
    """Somebody asked us to stop while we waited for something."""


@dataclass(slots=True)
class _Slot:
    """A place in the order: the process in it now, or when it is to be started again."""

    spec: Spec
    child: Child | None
    ends: int = 0
    again_at: float = 0.0


class Supervisor:
    """Use as a context manager, in the main thread; leaving it stops everything.

    `say` gets each line for the person at the terminal; `on_change` is called after a process was started again;
    `asked` counts the requests to stop.
    """

    def __init__(self, folder: Folder, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._say = say
        self._slots: list[_Slot] = []
        self._logs = Watcher()
        self.asked = 0
        self._last = signal.SIGTERM
        self._settled = False
        self.on_change: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        self._wake, self._bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._bell, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # so that a child's end wakes us
        self._before = {number: signal.signal(number, self._ask) for number in STOP_SIGNALS}
        self._end_leftovers()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._wake)
        os.close(self._bell)

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
        self._note()

    def until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Keep everything running until `done()`; False when that took longer than `seconds`.

        Raises StoppedError when a stop is asked for, ProblemError when a process ends again and again.
        """
        limit = time.monotonic() + seconds
        pause = 0.01
        while True:
            if self.asked:
                raise StoppedError
            self._keep()
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
        ask_with: signal.Signals | None = None,
    ) -> int:
        """Run a command at our terminal and return its exit code, as a shell does (128 + number for a signal).

        A request to stop is passed on as it came, or as `ask_with`; the terminal's Ctrl-C reaches the command by
        itself.
        """
        process = subprocess.Popen(
            command,
            env=dict(env),
            preexec_fn=bound_to_parent(signal.SIGTERM),  # noqa: PLW1509 - no threads here
        )
        passed = self.asked
        while process.poll() is None:
            self._keep()
            if self.asked > passed:
                passed = self.asked
                if self._last != signal.SIGINT or not sys.stdin.isatty():
                    process.send_signal(ask_with or self._last)
            self._sleep(0.5)
        return process.returncode if process.returncode >= 0 else 128 - process.returncode

    def settled(self) -> None:
        """The start is over: from now on a process that ends is started again however often."""
        self._settled = True

    def watch(self) -> None:
        """Keep everything running until a stop is asked for, and show the loud lines of the logs."""
        while not self.asked:
            self._keep()
            for line in self._logs.loud():
                self._say(line)
            self._sleep(0.5)

    def stop(self) -> None:
        """Stop everything, newest first. A second request to stop cuts the waiting to a second each."""
        asked = self.asked
        while self._slots:
            slot = self._slots.pop()
            if not slot.child:
                continue
            slot.child.ask_to_stop()
            since = time.monotonic()
            while slot.child.poll() is None:
                allowed = 1.0 if self.asked > max(asked, 1) else slot.spec.stop_seconds
                if time.monotonic() - since > allowed:
                    self._say(f"{slot.spec.name} did not stop within {allowed:.0f} s and was killed.")
                    slot.child.kill()
                    break
                self._sleep(0.1)
        self._note()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1
        self._last = signal.Signals(number)

    def _sleep(self, seconds: float) -> None:
        """Sleep, but wake for any signal: the handler ran, its number is in the pipe."""
        if select.select([self._wake], [], [], seconds)[0]:
            os.read(self._wake, 4096)

    def _keep(self) -> None:
        """Start again what has ended, with a growing pause."""
        changed = False
        for slot in self._slots:
            now = time.monotonic()
            if slot.child:
                code = slot.child.poll()
                if code is None:
                    continue
                slot.ends = 1 if now - slot.child.started > WELL else slot.ends + 1
                if not self._settled and slot.ends >= TRIES_AT_START:
                    raise ProblemError(f"{slot.spec.name} does not start: it {ended(code)}; {end_of(slot.spec.log)}")
                pause = min(FIRST_PAUSE * 2 ** (slot.ends - 1), LONGEST_PAUSE)
                self._say(f"{slot.spec.name} {ended(code)}; it is started again in {pause:g} s.")
                slot.child, slot.again_at = None, now + pause
            elif now >= slot.again_at:
                slot.child = Child(slot.spec)
                changed = True
        if changed:
            self._note()
            self.on_change()

    def _note(self) -> None:
        """Write down who runs, so that the next start finds them should we and our guard be killed."""
        running = {slot.spec.name: slot.child.pid for slot in self._slots if slot.child}
        self._folder.write(CHILDREN, {name: [pid, started_at(pid)] for name, pid in running.items()})

    def _end_leftovers(self) -> None:
        """End what a start that was killed has left. The folder's lock is ours, so nobody needs them any more."""
        left = {
            name: pid for name, (pid, when) in self._folder.read(CHILDREN).items() if when and started_at(pid) == when
        }
        for name, pid in reversed(left.items()):
            self._say(f"Stopping {name} (process {pid}) of an earlier start.")
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
