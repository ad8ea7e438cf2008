"""The guard: nothing is left, whoever of the two is killed and however deep a process was started."""

import os
import signal
import subprocess
from collections.abc import Callable

import pytest

Program = Callable[..., subprocess.Popen[str]]
HasEnded = Callable[[int], bool]
Eventually = Callable[..., bool]

# A supervisor with one child, which has a child of its own; all three say who they are. ENDING: what the innermost does
# about SIGTERM.
TEXT = """
import os, sys, time
from pathlib import Path
from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.guard import guarded
from hpns.local.process import Spec
from hpns.local.supervisor import Supervisor

INNER = "import os, signal, sys, time; {ending}; print(os.getpid(), flush=True); time.sleep(60)"
OUTER = (
    "import os, signal, subprocess, sys, time\\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\\n"
    f"subprocess.Popen([sys.executable, '-c', {{INNER!r}}], start_new_session={new_session})\\n"
    "print(os.getpid(), flush=True); time.sleep(60)"
)

def work():
    folder = Folder(Path(sys.argv[1]), for_servers())
    log = folder.logs / "child.log"
    with Supervisor(folder, print) as supervisor:
        supervisor.start(Spec(name="child", command=[sys.executable, "-c", OUTER], env=dict(os.environ), log=log))
        supervisor.until(lambda: len(log.read_text().split()) == 2, 60)
        print(os.getpid(), *log.read_text().split(), flush=True)
        supervisor.watch()
    print("stopped in order", flush=True)
    return 7

sys.exit(guarded(work))
"""
QUIET = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))"
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


def _start(
    program: Program, place: object, ending: str, *, new_session: bool
) -> tuple[subprocess.Popen[str], list[int]]:
    guard = program("-c", TEXT.format(ending=ending, new_session=new_session), f"{place}/state")
    assert guard.stdout
    pids = [int(pid) for pid in guard.stdout.readline().split()]
    assert len(pids) == 3
    return guard, pids


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_request_to_stop_is_passed_on_and_the_exit_code_comes_back(
    program: Program, place: object, has_ended: HasEnded, number: signal.Signals
) -> None:
    guard, pids = _start(program, place, QUIET, new_session=False)
    guard.send_signal(number)
    assert guard.communicate(timeout=60)[0] == "stopped in order\n"
    assert guard.returncode == 7
    assert all(map(has_ended, pids))


def test_killing_the_supervisor_leaves_nothing_not_even_what_ignores_requests(
    program: Program, place: object, has_ended: HasEnded
) -> None:
    guard, pids = _start(program, place, DEAF, new_session=True)
    os.kill(pids[0], signal.SIGKILL)
    guard.communicate(timeout=60)
    assert guard.returncode == 128 + signal.SIGKILL
    assert all(map(has_ended, pids))


def test_killing_the_guard_stops_everything_in_order(
    program: Program, place: object, has_ended: HasEnded, eventually: Eventually
) -> None:
    guard, pids = _start(program, place, QUIET, new_session=False)
    guard.kill()
    assert guard.communicate(timeout=60)[0] == "stopped in order\n"
    assert eventually(lambda: all(map(has_ended, pids)))


def test_killing_both_at_once_ends_the_children(
    program: Program, place: object, has_ended: HasEnded, eventually: Eventually
) -> None:
    guard, pids = _start(program, place, QUIET, new_session=False)
    os.kill(guard.pid, signal.SIGSTOP)  # so that it cannot notice before it dies itself
    os.kill(pids[0], signal.SIGKILL)
    guard.kill()
    assert eventually(lambda: all(map(has_ended, pids[:2])))
    os.kill(pids[2], signal.SIGKILL)  # its parent ended without stopping it, which no process of ours does
