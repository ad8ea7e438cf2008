"""The plugin that runs tests in forked processes, on small suites of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.cache import caches

from hpns import settings_test
from tests.stage import ROOT
from tests.waiting import PATIENCE

GOOD = """
import os, pytest

@pytest.fixture(scope="module")
def shared(worker_id, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    assert folder.parent.name == worker_id
    yield [folder]
    print("LET GO OF", worker_id)

def test_one(shared):
    shared.append(1)

def test_two(shared):
    assert shared[1:] == [1]
    assert os.environ["PYTEST_XDIST_WORKER_COUNT"] == "2"
"""
BAD = """
def test_wrong():
    print("what was printed")
    assert 1 == 2

def test_right():
    pass
"""
DYING = """
import os

def test_before():
    pass

def test_that_ends_it():
    os._exit(0)

def test_after():
    pass
"""


def run(folder: Path, **files: str) -> str:
    """What pytest says of these files in two forked processes."""
    for name, code in files.items():
        (folder / f"test_{name}.py").write_text(code)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:django",
        "-p",
        "tests.forks",
        "--forks",
        "2",
        "-v",
        str(folder),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE)
    return f"{done.stdout}{done.stderr}\nexit {done.returncode}"


def test_each_file_runs_in_one_process_with_what_its_tests_share(tmp_path: Path) -> None:
    said = run(tmp_path, a=GOOD, b=GOOD, c=GOOD)
    assert "6 passed" in said
    assert said.endswith("exit 0")


def test_a_test_that_fails_is_told_with_what_it_printed(tmp_path: Path) -> None:
    said = run(tmp_path, good=GOOD, bad=BAD)
    assert "1 failed, 3 passed" in said
    assert "what was printed" in said
    assert "assert 1 == 2" in said
    assert said.endswith("exit 1")


def test_tests_whose_process_died_are_failed_and_all_others_run(tmp_path: Path) -> None:
    said = run(tmp_path, dying=DYING, good=GOOD)
    assert "2 failed, 3 passed" in said
    assert "its process ended with 0 in " in said
    assert "test_dying.py::test_that_ends_it" in said
    assert said.endswith("exit 1")


def test_what_no_process_is_left_for_is_failed(tmp_path: Path) -> None:
    said = run(tmp_path, a=DYING, b=DYING, c=GOOD)
    assert "6 failed, 2 passed" in said
    assert "all processes have ended" in said


def test_a_forked_process_has_a_cache_of_its_own(pytestconfig: pytest.Config) -> None:
    # pytest-xdist's are imported with their numbers; a forked one has inherited what its parent had opened.
    forked = int(pytestconfig.getoption("forks", default=0) > 0)
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    assert caches["default"]._servers == [settings_test.cache_url(number + forked)]
