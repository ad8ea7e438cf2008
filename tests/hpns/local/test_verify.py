"""bin/test itself: what it says when something fails or is missing."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hpns.local.folder import Folder
from hpns.local.supervisor import Supervisor
from hpns.local.verify import Checks, Report, deployment, steps

Program = Callable[..., subprocess.Popen[str]]


def test_a_step_that_failed_is_named_in_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    report.step("ruff", 0, 1.0)
    report.step("mypy", 1, 2.0)
    assert report.close() == 1
    assert capsys.readouterr().out.splitlines()[-1] == "FAILED after 0 s: mypy"


def test_all_well_is_exit_code_zero(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    report.step("ruff", 0, 1.0)
    assert report.close() == 0
    assert capsys.readouterr().out.splitlines()[-1] == "All passed in 0 s."


def test_every_static_check_is_among_the_steps() -> None:
    names = [name for name, _, _ in steps()]
    assert names == ["mypy", "ruff check", "ruff format", "import-linter", "makemigrations --check", "check --deploy"]


def test_each_quick_check_is_run_and_the_one_that_fails_shows_what_it_printed(
    supervisor: Supervisor, folder: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report()
    codes = {"well": 0, "ill": 3, "well again": 0}
    checks = [
        (name, [sys.executable, "-c", f"print('{name} was run'); raise SystemExit({code})"], {})
        for name, code in codes.items()
    ]
    Checks(checks, supervisor, folder, {}, report).run(leave=0)
    assert report.failed == ["ill"]
    printed = capsys.readouterr().out
    assert [name for name in codes if f"  {name}\n" in printed] == list(codes)
    assert [name for name in codes if f"{name} was run" in printed] == ["ill"]


def test_a_slow_check_is_left_running_beside_the_tests_and_its_fault_counts(
    supervisor: Supervisor, folder: Folder, tmp_path: Path
) -> None:
    report, gate = Report(), tmp_path / "gate"
    waits = (
        f"import pathlib, time\nwhile not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.05)\nraise SystemExit(1)"
    )
    checks = Checks(
        [("slow", [sys.executable, "-c", waits], {}), ("quick", [sys.executable, "-c", "raise SystemExit(2)"], {})],
        *(supervisor, folder, {}, report),
    )
    try:
        checks.run(leave=1)
        assert report.failed == ["quick"]
        gate.touch()
        checks.run(leave=0)
        assert report.failed == ["quick", "slow"]
    finally:
        checks.close()


@pytest.mark.parametrize("names", [("SECRET_KEY",), ("VAULT_KEYS", "HASH_KEY", "ALLOWED_HOSTS")])
def test_the_check_of_a_deployment_fails_when_settings_are_missing(program: Program, names: tuple[str, ...]) -> None:
    empty = dict.fromkeys(names, "")
    process = program("manage.py", "check", "--deploy", "--fail-level", "WARNING", **{**deployment(), **empty})
    printed = process.communicate(timeout=60)[0]
    assert process.returncode != 0
    assert [name for name in names if name not in printed] == []


def test_arguments_go_to_pytest_and_its_failure_comes_back(program: Program, place: Path) -> None:
    (place / "test_it.py").write_text("def test_well(): pass\ndef test_ill(): assert False\n")
    arguments = ("-m", "hpns.local.verify", str(place / "test_it.py"), "-k", "well", "-p", "no:cacheprovider")
    well = program(*arguments)
    assert well.communicate(timeout=120)[0].splitlines()[-1].startswith("All passed in ")
    assert well.returncode == 0
    ill = program(*arguments[:3], "-p", "no:cacheprovider")
    printed = ill.communicate(timeout=120)[0]
    assert printed.splitlines()[-1].startswith("FAILED after ")
    assert ill.returncode == 1
