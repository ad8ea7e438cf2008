"""Guard process (child subreaper) above the supervisor, which ends the orphans when the supervisor cannot any more.

It is the parent that the kernel gives every orphan below it to, so however deep a process was started, it is found. The
three ways to be killed: the supervisor alone (the guard ends the rest), the guard alone (the supervisor is told by the
kernel and stops in order), both at once (each child is told by the kernel).

Invariant: it passes every request to stop on to the supervisor, exactly once, and exits with its exit code.
"""

import os
import signal
import time
from collections.abc import Callable
from types import FrameType

from hpns.local.process import bound_to_parent, descendants
from hpns.local.supervisor import STOP_SIGNALS
from hpns.processes import PR_SET_CHILD_SUBREAPER, prctl

# Seconds for orphans to end by themselves (the kernel has sent the supervisor's children their stop signal, and they
# stop theirs), and then for SIGTERM to work.
EXIT_TIMEOUT, TERM_TIMEOUT = 4.0, 2.0


def guarded(
    work: Callable[[], int], *, at_terminal: bool = False, after_kill: Callable[[], None] = lambda: None
) -> int:
    """Run `work` in a process below a guard and return its exit code (128 + number when it was killed).

    Returns twice, in the guard and in the process below; both end the program with what they get. Call it before
    anything else is started, from the only thread. `at_terminal` lets `work` read from the terminal and get its Ctrl-C.
    `after_kill` is called, in the guard, when `work` was killed and so could not tidy up.
    """
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    bind = bound_to_parent(signal.SIGTERM)
    pid = os.fork()
    if pid == 0:
        bind()
        if not at_terminal:
            # A group of its own: the terminal's Ctrl-C comes through the guard and so once, not twice.
            os.setpgid(0, 0)
        return work()

    def pass_on(number: int, frame: FrameType | None) -> None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass  # it has just ended, and we are about to learn of it

    for number in STOP_SIGNALS:
        signal.signal(number, pass_on)
    code = _wait(pid)
    if code < 0:
        after_kill()
    _end_orphans()
    return code if code >= 0 else 128 - code


def _wait(pid: int) -> int:
    """Wait for `pid`, and reap whatever orphan ends meanwhile; its exit code, negative for a signal."""
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            return os.waitstatus_to_exitcode(status)


def _end_orphans() -> None:
    """End all orphans: left to themselves at first, then by SIGTERM, then by SIGKILL."""
    since = time.monotonic()
    terminated: set[int] = set()
    _reap()
    while orphans := descendants(os.getpid()):
        waited = time.monotonic() - since
        for pid in orphans:
            if waited > EXIT_TIMEOUT + TERM_TIMEOUT:
                _send(pid, signal.SIGKILL)
            elif waited > EXIT_TIMEOUT and pid not in terminated:
                terminated.add(pid)
                _send(pid, signal.SIGTERM)
        time.sleep(0.05)
        _reap()


def _send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # ended by itself


def _reap() -> None:
    """Reap the orphans that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass  # there are none
