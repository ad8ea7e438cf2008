"""Programs that the tests want: which count as there, and what becomes of the tests of one that is missing."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.bindings import _rust
from playwright._impl._driver import compute_driver_executable

from hpns.local import programs
from tests import required_programs

NO_BROWSER = "not run: browser tests (missing: apt install chromium-headless-shell libatomic1)"
ROOT = Path(__file__).resolve().parent.parent.parent.parent


def add_program(machine: Path, name: str) -> str:
    """Add a program to a folder that plays a machine; its path."""
    (machine / name).touch(mode=0o755)
    return str(machine / name)


def add_library(machine: Path, name: str) -> None:
    """Add a library that can be loaded, under this name."""
    (machine / name).symlink_to(_rust.__file__)


def add_broken_library(machine: Path, name: str) -> None:
    """Add a file of a library's name that cannot be loaded: where it is found first, there is no such library."""
    (machine / name).write_bytes(b"")


def test_a_missing_program_is_said_with_what_is_not_tested(place: Path) -> None:
    found = programs.find(str(place))
    assert found == {}
    assert programs.complaints(found) == [
        NO_BROWSER,
        "not run: the check of docker-compose.yml (missing: apt install docker-compose)",
        "not run: that a backup is opened without this program (missing: apt install age)",
        "not run: the unit tests of the rules for Prometheus (missing: apt install prometheus)",
        "not run: the curl that bin/run prints (missing: apt install curl)",
    ]


def test_a_program_that_is_there_with_its_library_is_found(place: Path) -> None:
    path = add_program(place, "google-chrome")
    add_library(place, "libatomic.so.1")
    assert programs.find(str(place)) == {"CHROMIUM": path}


def test_the_browser_without_windows_comes_before_the_whole_one(place: Path) -> None:
    whole = add_program(place, "chromium")
    add_library(place, "libatomic.so.1")
    assert programs.find(str(place)) == {"CHROMIUM": whole}
    shell = add_program(place, "chromium-headless-shell")
    assert programs.find(str(place)) == {"CHROMIUM": shell}


@pytest.mark.parametrize("comes", [True, False])
def test_the_better_browser_is_installed_beside_the_one_that_does_which_serves_without(
    comes: bool, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = add_program(place, "chromium")
    for name in (names[0] for variable, (names, *_) in programs.WANTED.items() if variable != "CHROMIUM"):
        add_program(place, name)
    for variable in programs.WANTED:
        monkeypatch.delenv(variable, raising=False)
    asked: list[list[str]] = []

    def install(missing: list[str], _log: Path) -> bool:
        asked.append(missing)
        if comes:
            add_program(place, "chromium-headless-shell")
        return comes

    monkeypatch.setenv("PATH", str(place))
    monkeypatch.setattr(programs, "install", install)
    said: list[str] = []
    found = programs.provide(place / "log", said.append)
    assert asked == [["CHROMIUM"]]
    assert found["CHROMIUM"] == (str(place / "chromium-headless-shell") if comes else whole)
    slower = f"slower: browser tests (with {whole}: apt install chromium-headless-shell)"
    assert said == ([] if comes else [slower])


def test_a_browser_that_is_named_is_the_wanted_one(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHROMIUM", add_program(place, "mine"))
    assert programs.substitutes(programs.find()) == []


@pytest.mark.parametrize("spoil", [lambda *_: None, add_broken_library], ids=["missing", "broken"])
def test_a_program_without_its_library_does_not_count(place: Path, spoil: Callable[[Path, str], None]) -> None:
    add_program(place, "chromium")
    spoil(place, "libatomic.so.1")
    assert programs.find(str(place)) == {}
    assert NO_BROWSER in programs.complaints(programs.find(str(place)))


def test_a_missing_program_is_an_error_in_ci_alone(place: Path) -> None:
    assert programs.are_enough(programs.find(str(place)), ci=False)
    assert not programs.are_enough(programs.find(str(place)), ci=True)
    for names, libraries, _, _ in programs.WANTED.values():
        add_program(place, names[0])
        for library in libraries:
            add_library(place, library)
    assert programs.are_enough(programs.find(str(place)), ci=True)


@pytest.mark.parametrize("variable", programs.WANTED)
def test_a_test_whose_program_is_missing_is_skipped_and_fails_in_ci(
    variable: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(place / "nothing"))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception) as skipped:
        required_programs.program(variable)
    assert str(skipped.value) == programs.complaint(variable)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception) as failed:
        required_programs.program(variable)
    assert str(failed.value) == programs.complaint(variable)


@pytest.mark.parametrize(("ci", "code", "outcome"), [("", 0, "SKIPPED"), ("true", 1, "ERROR")])
def test_without_libatomic_every_browser_test_says_what_to_install(
    place: Path, ci: str, code: int, outcome: str
) -> None:
    """The machine is a real one: the loader finds a broken libatomic first, of which playwright's node would die."""
    add_broken_library(place, "libatomic.so.1")
    add_program(place, "chromium")
    files = ["tests/browser/test_tight.py", "tests/delivery/sandbox/test_page.py"]
    options = ["-rsE", "--tb=short", "-p", "no:cacheprovider", "-k", "tight or appears"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *files],
        cwd=ROOT,
        env={**os.environ, "LD_LIBRARY_PATH": str(place), "CHROMIUM": str(place / "chromium"), "CI": ci},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    reports = [line for line in done.stdout.splitlines() if line.startswith(outcome)]
    assert (done.returncode, done.stderr) == (code, ""), done.stdout
    assert reports
    assert all(NO_BROWSER in line for line in reports), reports
    assert "shared libraries" not in done.stdout


def test_playwrights_node_dies_without_libatomic_which_is_why_it_is_looked_for(place: Path) -> None:
    add_broken_library(place, "libatomic.so.1")
    node, _ = compute_driver_executable()
    done = subprocess.run(
        [node, "--version"],
        env={"LD_LIBRARY_PATH": str(place)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert "libatomic.so.1" in done.stderr


def test_a_browser_is_started_in_one_place_which_looks_first() -> None:
    files = [path for path in (ROOT / "tests").rglob("*.py") if "sync_playwright" in path.read_text(encoding="utf-8")]
    assert {path.relative_to(ROOT).as_posix() for path in files} == {
        "tests/required_programs.py",
        Path(__file__).relative_to(ROOT).as_posix(),
    }
