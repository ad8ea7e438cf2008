"""One child process: started in a process group of its own, bound to its parent's life, logged to a file.

Invariant: no child outlives us. It gets its death signal from the kernel when the thread that started it ends, so start
children from the main thread only; whatever a dead child leaves in its group is killed with it.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpns.local.account import Account
from hpns.local.problem import ProblemError
from hpns.processes import PR_SET_PDEATHSIG, prctl


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What to run. `ready` answers whether it serves yet; `account` is whom to run as (None = as ourselves)."""

    name: str
    command: Sequence[str | Path]
    env: Mapping[str, str]
    log: Path
    cwd: Path = Path("/")
    account: Account | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    ready: Callable[[], bool] = field(default=lambda: True)


class Child:
    """A running (or ended) process of a Spec."""

    def __init__(self, spec: Spec) -> None:
        """Start it. Raises ProblemError when the command cannot be started at all."""
        self.spec = spec
        self.started = time.monotonic()
        account = spec.account if spec.account and spec.account.drops else None
        try:
            with spec.log.open("ab") as log:
                self._process = subprocess.Popen(
                    [str(part) for part in spec.command],
                    env=dict(spec.env),
                    cwd=spec.cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    # A session of its own: the terminal's Ctrl-C reaches us alone, and we stop the rest in order.
                    start_new_session=True,
                    user=account.uid if account else None,
                    group=account.gid if account else None,
                    extra_groups=[] if account else None,
                    # After the change of user, which would clear it. We run no threads that could hold a lock here.
                    preexec_fn=bound_to_parent(spec.stop_signal),  # noqa: PLW1509
                )
        except (OSError, subprocess.SubprocessError) as error:
            raise ProblemError(f"Cannot start {spec.name} ({spec.command[0]}): {error}.") from error
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """None while it runs; else its exit code, negative for a signal, and nothing is left of its group."""
        if self._process.returncode is None and os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            # Not yet reaped, so the number of the group cannot have been given to anybody else.
            self.signal_group(signal.SIGKILL)
            self._process.wait()
        return self._process.returncode

    def send_stop_signal(self) -> None:
        """Send the process its stop signal; it stops its own children."""
        if self.poll() is None:
            self._process.send_signal(self.spec.stop_signal)

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to everything in its group; a group that is gone is fine."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            pass

    def kill(self) -> None:
        """End it and its group at once, and wait for that."""
        if self._process.returncode is None:
            self.signal_group(signal.SIGKILL)
            self._process.wait()


def bound_to_parent(number: signal.Signals) -> Callable[[], None]:
    """A preexec function: the kernel sends `number` to the process when we die, even by SIGKILL."""
    parent = os.getpid()

    def bind() -> None:
        prctl(PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    return bind


def ended(code: int) -> str:
    """An exit code in words."""
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def started_at(pid: int) -> int:
    """When process `pid` started, in clock ticks since boot (proc(5), field 22); 0 when it has ended or never was.

    Together with the number it names a process for good: numbers are given again, this pair is not. A process that has
    ended and waits to be reaped counts as ended: in a container nobody may ever do that.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    fields = text.rpartition(")")[2].split()
    return 0 if fields[0] == "Z" else int(fields[19])


def descendants(pid: int) -> list[int]:
    """Every living process below `pid`, parents before children."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue  # ended while we looked
        if fields[0] != "Z":
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found: list[int] = []
    layer = children.get(pid, [])
    while layer:
        found += layer
        layer = [below for one in layer for below in children.get(one, [])]
    return found
