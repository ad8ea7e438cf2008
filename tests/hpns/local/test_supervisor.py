"""The supervisor: order, restarts, time limits, leftovers."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.problem import ProblemError
from hpns.local.process import Spec
from hpns.local.supervisor import StoppedError, Supervisor

Make = Callable[..., Spec]
HasEnded = Callable[[int], bool]
Eventually = Callable[..., bool]

SLEEP = "import time; time.sleep(60)"


def _writes_its_end(path: Path) -> str:
    """A program that adds its name to a file when it is asked to stop, and says when it is ready for that."""
    return (
        "import signal, sys, time\n"
        "def end(*_):\n"
        f"    open({str(path)!r}, 'a').write(sys.argv[1] + ' ')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, end); print('on', flush=True); time.sleep(60)\n"
    )


def _ready_in_log(spec: Spec) -> Callable[[], bool]:
    return lambda: spec.log.exists() and "on" in spec.log.read_text()


def test_everything_is_stopped_in_the_reverse_order(folder: Folder, script: Make) -> None:
    order = folder.path / "order"
    with Supervisor(folder, print) as supervisor:
        for name in ("store", "worker", "door"):
            made = script(name, _writes_its_end(order))
            spec = Spec(name=name, command=[*made.command, name], env=made.env, log=made.log)
            supervisor.start(spec)
            assert supervisor.until(_ready_in_log(spec), 60)
    assert order.read_text() == "door worker store "


def test_a_process_that_does_not_stop_in_time_is_killed(folder: Folder, script: Make, printed: list[str]) -> None:
    text = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    spec = script("deaf", text, stop_seconds=0.3)
    with Supervisor(folder, printed.append) as supervisor:
        supervisor.start(spec)
        assert supervisor.until(_ready_in_log(spec), 60)
        since = time.monotonic()
    assert time.monotonic() - since < 30
    assert printed == ["deaf did not stop within 0 s and was killed."]


def test_a_process_that_was_killed_is_started_again(supervisor: Supervisor, script: Make, printed: list[str]) -> None:
    supervisor.settled()
    supervisor.start(script("worker", SLEEP))
    first = supervisor.pids["worker"]
    os.kill(first, signal.SIGKILL)
    assert supervisor.until(lambda: supervisor.pids.get("worker", first) != first, 60)
    assert printed == ["worker was killed by SIGKILL; it is started again in 0.5 s."]


def test_the_pause_before_another_start_grows(supervisor: Supervisor, script: Make, printed: list[str]) -> None:
    supervisor.settled()
    supervisor.start(script("worker", "import sys; sys.exit(1)"))
    assert supervisor.until(lambda: len(printed) == 3, 60)
    assert [line.rpartition(" in ")[2] for line in printed] == ["0.5 s.", "1 s.", "2 s."]


def test_a_start_is_told_of_so_that_run_json_can_follow(supervisor: Supervisor, script: Make) -> None:
    changes: list[dict[str, int]] = []
    supervisor.on_change = lambda: changes.append(supervisor.pids)
    supervisor.start(script("worker", SLEEP))
    os.kill(supervisor.pids["worker"], signal.SIGKILL)
    assert supervisor.until(lambda: bool(changes), 60)
    assert changes == [supervisor.pids]


def test_a_process_that_never_starts_ends_the_start_with_its_last_words(supervisor: Supervisor, script: Make) -> None:
    supervisor.start(script("worker", "import sys; sys.exit('no such setting')"))
    with pytest.raises(ProblemError, match=r"worker does not start: it ended with exit code 1(.|\n)*no such setting"):
        supervisor.until(lambda: False, 60)


def test_a_process_that_is_not_ready_in_time_is_named(supervisor: Supervisor, script: Make) -> None:
    supervisor.start(script("store", SLEEP, ready=lambda: False))
    with pytest.raises(ProblemError, match="store is not ready after 0 s"):
        supervisor.ready("store", seconds=0.2)


def test_a_command_that_fails_ends_the_start(supervisor: Supervisor, script: Make) -> None:
    with pytest.raises(ProblemError, match=r"prepare failed: it ended with exit code 1(.|\n)*no database"):
        supervisor.succeed(script("prepare", "import sys; sys.exit('no database')"), 60)


def test_a_request_to_stop_interrupts_a_wait_at_once(supervisor: Supervisor) -> None:
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    since = time.monotonic()
    with pytest.raises(StoppedError):
        supervisor.until(lambda: False, 60)
    assert time.monotonic() - since < 30


def test_what_an_earlier_start_left_is_ended(
    folder: Folder,
    program: Callable[..., subprocess.Popen[str]],
    printed: list[str],
    has_ended: HasEnded,
    eventually: Eventually,
) -> None:
    left = program("-c", "import os, time; print(os.getpid(), flush=True); time.sleep(60)")
    assert left.stdout
    left.stdout.readline()
    ticks = int(Path(f"/proc/{left.pid}/stat").read_text().rpartition(")")[2].split()[19])
    folder.write("children.json", {"worker": [left.pid, ticks]})
    with Supervisor(folder, printed.append):
        assert eventually(lambda: has_ended(left.pid))
    assert printed == [f"Stopping worker (process {left.pid}) of an earlier start."]


def test_a_number_that_another_process_has_got_by_now_is_left_alone(folder: Folder, printed: list[str]) -> None:
    folder.write("children.json", {"worker": [os.getppid(), 1]})
    with Supervisor(folder, printed.append):
        assert printed == []


def test_the_lines_that_matter_are_shown(
    folder: Folder, script: Make, printed: list[str], eventually: Eventually
) -> None:
    with Supervisor(Folder(folder.path, for_servers()), printed.append) as supervisor:
        supervisor.start(script("worker", "print('INFO all is well'); print('ERROR it is not', flush=True);" + SLEEP))

        def stop_when_shown() -> None:
            eventually(lambda: printed)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=stop_when_shown).start()
        supervisor.watch()
    assert printed == ["worker: ERROR it is not"]


@pytest.mark.parametrize(("text", "code"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 137)])
def test_a_command_at_the_terminal_hands_on_its_exit_code(supervisor: Supervisor, text: str, code: int) -> None:
    assert supervisor.foreground([sys.executable, "-c", text], os.environ) == code
