"""The shell that bin/run and bin/test begin with."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent.parent


@pytest.fixture
def bare(place: Path) -> Path:
    """A folder of programs as on a machine without Python."""
    programs = place / "programs"
    programs.mkdir()
    for name in ("dirname", "readlink"):
        (programs / name).symlink_to(str(shutil.which(name)))
    return programs


def _run(command: str, path: str | Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": str(path)}
    return subprocess.run([command, *arguments], env=environment, cwd="/", capture_output=True, text=True, check=False)


@pytest.mark.parametrize("command", ["run", "test"])
def test_no_python_is_one_line_with_the_packages(bare: Path, command: str) -> None:
    done = _run(str(ROOT / "bin" / command), bare)
    assert done.returncode == 1
    assert done.stderr == "No Python 3.11, 3.12 or 3.13 found (Debian: apt install python3 python3-venv).\n"


def test_a_python_that_is_too_old_is_passed_over(bare: Path) -> None:
    (bare / "python3").write_text("#!/bin/sh\nexit 1\n")  # what the question for the version comes to
    (bare / "python3").chmod(0o755)
    assert _run(str(ROOT / "bin" / "run"), bare).stderr.startswith("No Python 3.11")


def test_the_command_may_be_called_through_a_link_from_anywhere(place: Path) -> None:
    (place / "start").symlink_to(ROOT / "bin" / "run")
    done = _run(str(place / "start"), os.environ["PATH"], "--help")
    assert done.returncode == 0, done.stderr
    assert "--no-sandbox" in done.stdout


@pytest.mark.parametrize("arguments", [["--port", "0"], ["--port", "70000"], ["--workers", "0"], ["--ingest", "x"]])
def test_a_wrong_option_is_explained(arguments: list[str]) -> None:
    done = _run(str(ROOT / "bin" / "run"), os.environ["PATH"], *arguments)
    assert done.returncode == 2
    assert f"argument {arguments[0]}" in done.stderr
