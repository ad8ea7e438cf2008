"""One child: bound to its parent, ended with its group."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hpns.local.folder import Folder
from hpns.local.problem import ProblemError
from hpns.local.process import Child, Spec, descendants, ended, started_at

Make = Callable[..., Spec]
Eventually = Callable[..., bool]
HasEnded = Callable[[int], bool]

# Starts a process of its own, says its number, and sleeps.
PARENT = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "print(child.pid, flush=True)\n"
)


def _number(log: Path, eventually: Eventually) -> int:
    assert eventually(lambda: log.exists() and log.read_text().endswith("\n"))
    return int(log.read_text())


def test_a_child_ends_when_its_parent_is_killed(
    program: Callable[..., subprocess.Popen[str]], has_ended: HasEnded, eventually: Eventually, place: Path
) -> None:
    parent = program(
        "-c",
        "import os, sys, time; from pathlib import Path; from hpns.local.process import Child, Spec\n"
        "child = Child(Spec(name='c', command=['sleep', '60'], env={}, log=Path(sys.argv[1])))\n"
        "print(child.pid, flush=True); time.sleep(60)\n",
        str(place / "log"),
    )
    assert parent.stdout
    pid = int(parent.stdout.readline())
    assert not has_ended(pid)
    parent.kill()
    assert eventually(lambda: has_ended(pid))


def test_what_a_dead_child_leaves_in_its_group_is_killed(
    script: Make, has_ended: HasEnded, eventually: Eventually
) -> None:
    spec = script("parent", PARENT + "time.sleep(0.2); sys.exit(3)")
    child = Child(spec)
    grandchild = _number(spec.log, eventually)
    assert eventually(lambda: child.poll() is not None)
    assert child.poll() == 3
    assert eventually(lambda: has_ended(grandchild))


def test_killing_a_child_kills_its_group(script: Make, has_ended: HasEnded, eventually: Eventually) -> None:
    spec = script("parent", PARENT + "time.sleep(60)")
    child = Child(spec)
    grandchild = _number(spec.log, eventually)
    child.kill()
    assert child.poll() == -9
    assert eventually(lambda: has_ended(grandchild))


def test_a_program_that_is_not_there_is_a_problem(folder: Folder) -> None:
    with pytest.raises(ProblemError, match="Cannot start thing"):
        Child(Spec(name="thing", command=["/nowhere/thing"], env={}, log=folder.logs / "thing.log"))


def test_output_is_appended_to_the_log(script: Make, eventually: Eventually) -> None:
    for text in ("print('one')", "print('two')"):
        child = Child(script("writer", text))
        assert eventually(lambda child=child: child.poll() == 0)
    assert script("writer", "").log.read_text() == "one\ntwo\n"


def test_descendants_are_found_however_deep(script: Make, eventually: Eventually) -> None:
    spec = script("parent", PARENT + "time.sleep(60)")
    child = Child(spec)
    grandchild = _number(spec.log, eventually)
    try:
        assert descendants(child.pid) == [grandchild]
    finally:
        child.kill()


def test_a_number_that_no_process_has_was_never_started() -> None:
    assert started_at(2**22 + 1) == 0


@pytest.mark.parametrize(("code", "words"), [(1, "ended with exit code 1"), (-9, "was killed by SIGKILL")])
def test_an_end_is_told_in_words(code: int, words: str) -> None:
    assert ended(code) == words
