"""`python -m hpns.local.services`: the stores for the time of one command."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Program = Callable[..., subprocess.Popen[str]]
OURS = ("-m", "hpns.local.services")
SHOW = "import os; print(os.environ['DATABASE_URL'][:13], os.environ['REDIS_URL'][:8])"


@pytest.fixture(autouse=True)
def stores_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test run has set these for the other tests."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.delenv("REDIS_URL", raising=False)


def test_the_command_gets_the_addresses_and_its_exit_code_is_handed_on(program: Program, place: Path) -> None:
    process = program(*OURS, str(place / "state"), "--fast", "--", sys.executable, "-c", SHOW + "; raise SystemExit(5)")
    assert process.communicate(timeout=60)[0] == "postgresql:// redis://\n"
    assert process.returncode == 5


def test_nothing_is_left_when_it_is_killed(
    program: Program, place: Path, has_ended: Callable[[int], bool], eventually: Callable[..., bool]
) -> None:
    text = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    process = program(*OURS, str(place / "state"), "--fast", "--", sys.executable, "-c", text)
    assert process.stdout
    pids = [int(process.stdout.readline())]
    pids.append(int((place / "state" / "postgres" / "postmaster.pid").read_text().split()[0]))
    process.kill()
    assert eventually(lambda: all(map(has_ended, pids)))


def test_a_request_to_stop_reaches_the_command(program: Program, place: Path) -> None:
    text = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit('told'))\n"
        "print('on', flush=True); time.sleep(60)"
    )
    process = program(*OURS, str(place / "state"), "--fast", "--", sys.executable, "-c", text)
    assert process.stdout
    process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[0] == "told\n"
    assert process.returncode == 1


def test_a_folder_in_use_is_one_line(program: Program, place: Path) -> None:
    first = program(*OURS, str(place / "state"), "--fast", "--", "sh", "-c", "echo on; exec sleep 60")
    assert first.stdout
    first.stdout.readline()
    second = program(*OURS, str(place / "state"), "--fast", "--", "true")
    printed = second.communicate(timeout=60)[0]
    assert "in use by process " in printed
    assert len(printed.splitlines()) == 1
    assert second.returncode == 1


@pytest.mark.parametrize("arguments", [(), ("state",), ("state", "--"), ("one", "two", "--", "true")])
def test_a_wrong_call_is_explained(program: Program, arguments: tuple[str, ...]) -> None:
    process = program(*OURS, *arguments)
    assert "COMMAND..." in process.communicate(timeout=60)[0]
    assert process.returncode == 2
