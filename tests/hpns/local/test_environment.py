"""Making .venv: in a copy of the project that has lock files without packages, so that no index is needed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent.parent.parent / "hpns" / "local" / "environment.py"
LOCK, DEV_LOCK = "requirements.lock", "requirements-dev.lock"


@pytest.fixture
def project(place: Path) -> Path:
    """A project with environment.py and empty lock files, and no .venv."""
    (place / "hpns" / "local").mkdir(parents=True)
    shutil.copy(SOURCE, place / "hpns" / "local")
    for name in (LOCK, DEV_LOCK, "requirements-uv.lock"):
        (place / name).write_text(f"# {name}\n")
    return place


def _start(project: Path, *locks: str, before: str = "") -> subprocess.Popen[str]:
    script = project / "hpns" / "local" / "environment.py"
    arguments = [str(script), *locks]
    run = f"{before}\nimport runpy, sys\nsys.argv = {arguments!r}\nrunpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-I", *(["-c", run] if before else arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def _finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    output = process.communicate(timeout=300)[1]
    return process.returncode, output


def _stamped(project: Path, lock: str) -> dict[str, str]:
    """Give the project a .venv as it is after a whole installation of `lock`."""
    text = (
        f"import runpy, pathlib; made = runpy.run_path({str(project / 'hpns/local/environment.py')!r}); import json\n"
        f"print(json.dumps(made['stamp_of'](pathlib.Path({str(project / lock)!r}))))"
    )
    stamp = json.loads(subprocess.run([sys.executable, "-c", text], capture_output=True, check=True).stdout)
    (project / ".venv" / "bin").mkdir(parents=True)
    # No Python that could install anything anywhere: it is enough that it is there.
    (project / ".venv" / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    (project / ".venv" / "bin" / "python").chmod(0o755)
    (project / ".venv" / "stamp.json").write_text(json.dumps(stamp))
    return dict(stamp)


@pytest.mark.parametrize("lock", [LOCK, DEV_LOCK])
def test_a_whole_environment_is_left_alone(project: Path, lock: str) -> None:
    _stamped(project, lock)
    assert _finish(_start(project, LOCK, DEV_LOCK)) == (0, "")


def test_two_starts_at_once_install_once_in_place_of_a_half_finished_one(project: Path) -> None:
    # What a start leaves that was killed while it installed: no stamp, a mark, files of who knows what.
    (project / ".venv" / "bin").mkdir(parents=True)
    for name in ("unfinished", "half", "bin/python"):
        (project / ".venv" / name).touch()
    results = [_finish(process) for process in [_start(project, LOCK), _start(project, LOCK)]]
    assert [code for code, _ in results] == [0, 0]
    output = "".join(text for _, text in results)
    assert output.count("Removing an unfinished or outdated .venv.") == 1
    assert output.count("Installing 0 packages") == 1
    assert output.count("Another start is installing; waiting for it.") == 1
    # There was no uv in the lock file, and so pip did it.
    assert output.count("pip does the same, slower") == 1
    assert not (project / ".venv" / "half").exists()
    assert json.loads((project / ".venv" / "stamp.json").read_text())["lock"] == LOCK
    assert _finish(_start(project, LOCK)) == (0, "")


@pytest.mark.parametrize("part", ["sha256", "python", "path"])
def test_an_environment_of_another_lock_or_python_or_place_is_not_taken_for_whole(project: Path, part: str) -> None:
    stamp = _stamped(project, LOCK)
    (project / ".venv" / "stamp.json").write_text(json.dumps({**stamp, part: "other"}))
    code, output = _finish(_start(project, LOCK, before="import venv\nvenv.EnvBuilder = None"))
    assert code != 0
    assert "Installing 0 packages" in output


def test_a_missing_python3_venv_is_one_line_with_the_package(project: Path) -> None:
    lacking = (
        "import importlib.util as u; real = u.find_spec; u.find_spec = lambda n: None if n == 'ensurepip' else real(n)"
    )
    code, output = _finish(_start(project, LOCK, before=lacking))
    assert code == 1
    assert output.splitlines()[-1].startswith(
        "This Python cannot make environments (no ensurepip): apt install python3"
    )
    assert output.splitlines()[-1].endswith("-venv")


def test_a_full_disk_is_one_line(project: Path) -> None:
    full = "import collections, shutil; shutil.disk_usage = lambda path: collections.namedtuple('U', 'free')(1000)"
    code, output = _finish(_start(project, LOCK, before=full))
    assert code == 1
    assert "MB are free in" in output.splitlines()[-1]


def test_a_folder_that_cannot_be_written_is_one_line(project: Path) -> None:
    (project / ".venv").touch()  # in the way, and not to be removed as a folder
    code, output = _finish(_start(project, LOCK))
    assert code == 1
    assert output.splitlines()[-1].startswith(f"Cannot write to {project}/.venv: ")
    assert "Traceback" not in output


def test_ctrl_c_is_one_line_and_the_next_start_makes_it_anew(project: Path) -> None:
    stop = "import venv\ndef stop(*a, **k): raise KeyboardInterrupt\nvenv.EnvBuilder.create = stop"
    code, output = _finish(_start(project, LOCK, before=stop))
    assert code == 130
    assert output.splitlines()[-1] == "Stopped; the next start makes .venv anew."
    assert (project / ".venv" / "unfinished").exists()
