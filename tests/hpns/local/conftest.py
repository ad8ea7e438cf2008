"""Real folders and real processes for the tests of hpns.local."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.process import Spec, started_at
from hpns.local.supervisor import Supervisor
from tests.waiting import PATIENCE

ROOT = Path(__file__).resolve().parent.parent.parent.parent


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that another user can walk into: pytest's own are closed, and servers do not run as root."""
    path = Path(tempfile.mkdtemp(prefix="hpns-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def folder(place: Path) -> Folder:
    """A new state folder."""
    return Folder(place / "state", for_servers())


@pytest.fixture
def printed() -> list[str]:
    """What the supervisor said."""
    return []


@pytest.fixture
def supervisor(folder: Folder, printed: list[str]) -> Iterator[Supervisor]:
    """A supervisor; whatever runs at the end of the test is stopped."""
    with Supervisor(folder, printed.append) as supervisor:
        yield supervisor


@pytest.fixture
def script(folder: Folder) -> Callable[..., Spec]:
    """Make the Spec of a Python program: script(name, text, **more of Spec)."""

    def make(name: str, text: str, **more: object) -> Spec:
        return Spec(
            name=name,
            command=[sys.executable, "-c", text],
            env=dict(os.environ),
            log=folder.logs / f"{name}.log",
            **more,  # type: ignore[arg-type]
        )

    return make


@pytest.fixture
def program(place: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a Python program of ours in a group of its own; it is killed after the test.

    It asks for `place` so that the folder is removed last: who is killed leaves a supervisor that stops in order and
    writes into its state folder until the pipe of its output is closed.
    """
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def eventually() -> Callable[..., bool]:
    """Whether something becomes true within some seconds."""

    def wait(condition: Callable[[], object], seconds: float = PATIENCE) -> bool:
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            if condition():
                return True
            time.sleep(0.02)
        return False

    return wait


@pytest.fixture
def has_ended() -> Callable[[int], bool]:
    """Whether a process has ended."""
    return lambda pid: not started_at(pid)
