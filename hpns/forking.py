"""Copies of this process, each of which becomes a program of ours: what all of them have imported is in memory once.

`launch` takes the place of subprocess.Popen for a command `python -m MODULE ARGUMENT...`: it forks, and the child runs
the module's main(). Whoever calls it has one thread, no connection and no event loop; more would be no use in a copy,
or harm. Invariants: a child keeps no file of its parent's open but those it is given and the standard streams, answers
signals as a new program does, and never returns into its parent's code.
"""

import gc
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from hpns.processes import set_title

# Seconds between two looks whether a child has ended, while somebody waits for that.
LOOK_INTERVAL: Final = 0.02


class Running(Protocol):
    """A child of ours, started this way or that; as of subprocess.Popen."""

    pid: int

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises subprocess.TimeoutExpired."""

    def send_signal(self, sig: int, /) -> None:
        """Send it a signal, if it is there."""

    def kill(self) -> None:
        """End it at once."""


# Starts `python -m MODULE ARGUMENT...` with these descriptors open beside the standard streams. Raises OSError.
Launch = Callable[[Sequence[str], Sequence[int]], Running]


def execute(command: Sequence[str], descriptors: Sequence[int]) -> Running:
    """Launch it as a new program."""
    return subprocess.Popen(command, pass_fds=descriptors, stdin=subprocess.DEVNULL)  # noqa: S603  ours


class Forked:
    """A child that was forked, and has not been reaped by anybody else."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self._code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if ended else None
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, once it has ended. Raises subprocess.TimeoutExpired."""
        if timeout is None and self._code is None:
            self._code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        until = time.monotonic() + (timeout or 0.0)
        while (code := self.poll()) is None:
            if time.monotonic() >= until:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            time.sleep(LOOK_INTERVAL)
        return code

    def send_signal(self, sig: int, /) -> None:
        """Send it a signal, if it is there."""
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


def fork(work: Callable[[], int], title: str, descriptors: Sequence[int]) -> Forked:
    """A child that does `work`, ends with what it returns, and is called `title` in lists of processes.

    Raises OSError, RuntimeError with more than one thread.
    """
    if (threads := len(os.listdir("/proc/self/task"))) != 1:
        raise RuntimeError(f"a process with {threads} threads cannot be copied: only one of them would be there")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    gc.freeze()  # else the child's first look for garbage writes to every page of it
    pid = os.fork()
    if pid == 0:
        _be(work, title, frozenset(descriptors))
    return Forked(pid)


def _be(work: Callable[[], int], title: str, descriptors: frozenset[int]) -> None:
    """The child; does not return."""
    code = 1
    try:
        _forget_parent(descriptors)
        set_title(title)
        gc.enable()
        code = work()
    except SystemExit as stopped:
        code = _exit_code(stopped)
    except BaseException:  # noqa: BLE001  must not become the parent once more
        sys.excepthook(*sys.exc_info())
    finally:
        try:
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code & 0xFF)


def _forget_parent(descriptors: frozenset[int]) -> None:
    """Drop what of the parent's would go on to work here: handlers of signals, and open files."""
    signal.set_wakeup_fd(-1)
    for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD):
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for number in map(int, os.listdir("/proc/self/fd")):
        if number > 2 and number not in descriptors:
            try:
                os.close(number)
            except OSError:
                pass  # that of the list itself


def _exit_code(stopped: SystemExit) -> int:
    """As the interpreter understands it."""
    if stopped.code is None or isinstance(stopped.code, int):
        return stopped.code or 0
    sys.stderr.write(f"{stopped.code}\n")
    return 1
