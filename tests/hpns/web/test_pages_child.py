"""The pages process beside the web processes: private, below their priority, and there again whatever ends it."""

import asyncio
import errno
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hpns.pages_process import NICENESS
from hpns.web import pages_child
from hpns.web.pages_child import PagesChild
from hpns.web.pages_protocol import SOCKET_VARIABLE
from hpns.web.pages_proxy import PagesProxy
from tests.hpns.web_server import Stores
from tests.stage import ROOT
from tests.waiting import PATIENCE


@pytest.fixture(scope="module")
def shared_child(stores: Stores) -> Iterator[PagesChild]:
    """A pages process; nothing is left of it afterwards."""
    made = PagesChild()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**stores.env, SOCKET_VARIABLE: ""}.items():
            patch.setenv(name, value)
        patch.chdir(ROOT)
        made.start()
        folder = Path(os.environ[SOCKET_VARIABLE]).parent
        try:
            yield made
        finally:
            made.stop()
    assert not folder.exists()


@pytest.fixture
def child(shared_child: PagesChild) -> PagesChild:
    """The same, once it serves."""
    until(shared_child, lambda: bool(pid(shared_child)))
    return shared_child


def until(child: PagesChild, done: Callable[[], bool]) -> None:
    """Look after it as the parent does, until it is so."""
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end
        child.supervise()
        time.sleep(0.02)


def pid(child: PagesChild) -> int:
    """The process that serves now; 0 when there is none."""
    return child._current.pid if child._current is not None and child._current.ready else 0


def problem() -> str:
    """What a web process sees of it."""

    async def probe() -> str:
        proxy = PagesProxy()
        try:
            return await proxy.probe(PATIENCE)
        finally:
            await proxy.close()

    return asyncio.run(probe())


def test_it_is_reached_by_our_user_alone_and_yields_to_pushes(child: PagesChild) -> None:
    socket = Path(os.environ[SOCKET_VARIABLE])
    assert problem() == ""
    assert socket.is_socket()
    assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
    assert os.getpriority(os.PRIO_PROCESS, pid(child)) == os.getpriority(os.PRIO_PROCESS, 0) + NICENESS
    assert os.sched_getscheduler(pid(child)) == os.SCHED_BATCH


def test_one_that_was_killed_is_there_again_and_one_that_is_replaced_serves_until_then(child: PagesChild) -> None:
    first = pid(child)
    os.kill(first, signal.SIGKILL)
    until(child, lambda: pid(child) not in (0, first))
    assert problem() == ""
    second = pid(child)
    child.replace()
    until(child, lambda: pid(child) != second)
    assert problem() == ""
    until(child, lambda: not child._replaced)


def test_one_whose_socket_was_removed_is_started_again(child: PagesChild) -> None:
    first = pid(child)
    Path(os.environ[SOCKET_VARIABLE]).unlink()
    until(child, lambda: pid(child) not in (0, first))
    assert problem() == ""


def test_one_whose_loop_stands_still_is_killed(child: PagesChild, monkeypatch: pytest.MonkeyPatch) -> None:
    first = pid(child)
    os.kill(first, signal.SIGSTOP)
    monkeypatch.setattr(pages_child, "SILENCE_MAX", 0.5)
    until(child, lambda: pid(child) != first)


def test_one_that_takes_long_to_start_is_not_taken_for_stuck(child: PagesChild) -> None:
    process = child._current
    assert process is not None
    for ready, silence, is_stuck in ((True, 29, False), (True, 31, True), (False, 170, False), (False, 190, True)):
        process.ready, process.silence = ready, float(silence)
        assert process.is_stuck() is is_stuck
    process.ready, process.silence = True, 0.0


def test_the_silence_of_a_time_in_which_we_were_held_still_does_not_count(child: PagesChild) -> None:
    assert child._current is not None
    child._looked_at -= 3600
    silent_for = child._current.silence
    child.supervise()
    assert child._current.silence <= silent_for + 1.0


def test_where_the_kernel_gives_no_process_it_is_tried_again_and_nothing_stays_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setenv(SOCKET_VARIABLE, "")
    monkeypatch.setattr(pages_child.subprocess, "Popen", fails)
    child, before = PagesChild(), os.listdir("/proc/self/fd")
    child.start()
    began = child._again_at
    assert began > time.monotonic()
    child._again_at = 0.0
    child.supervise()
    assert child._again_at > began
    assert os.listdir("/proc/self/fd") == before
    child.stop()


def test_it_ends_with_its_parent(stores: Stores, tmp_path: Path) -> None:
    code = (
        "import time\nfrom hpns.web.pages_child import PagesChild\nchild = PagesChild()\nchild.start()\n"
        f"end = time.monotonic() + {PATIENCE}\n"
        "while not child.ready and time.monotonic() < end:\n    child.supervise()\n    time.sleep(0.02)\n"
        "print(child._current.pid, flush=True)\ntime.sleep(600)"
    )
    env = {**stores.env, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code], env=env, cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pages = int(parent.stdout.readline())
        parent.kill()
    end = time.monotonic() + PATIENCE
    while Path(f"/proc/{pages}").exists() and " Z " not in Path(f"/proc/{pages}/stat").read_text():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_folder_whose_path_is_too_long_for_a_socket_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("l" * 100)
    long.mkdir()
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(long))
    monkeypatch.setattr("tempfile.tempdir", "/tmp")  # noqa: S108
    folder = pages_child._private_folder()
    assert folder.parent == Path("/tmp")  # noqa: S108
    folder.rmdir()
    assert list(long.iterdir()) == []
