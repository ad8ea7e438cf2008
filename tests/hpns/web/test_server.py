"""The parent of the web processes: who is started, started again, replaced and stopped, and in which order."""

import errno
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpns.web import server
from hpns.web.child_process import ChildProcess
from hpns.web.server import Companion, Slot, WebServer
from tests.waiting import PATIENCE, wait_for

# A child that writes what happens to it into a file. It serves until it is told to leave.
CHILD = """
import os, signal, socket, sys, time
name, path, control = sys.argv[1], sys.argv[2], socket.socket(fileno=int(sys.argv[-1]))
def say(what):
    with open(path, "a") as file:
        file.write(f"{name} {what}\\n")
def leave(number, frame):
    say("left by " + signal.Signals(number).name)
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
signal.signal(signal.SIGUSR1, leave)
if name == "broken":
    say("started")
    sys.exit(3)
say("got " + control.recv(1000).decode() if name == "told" else "started")
control.send(b"1")
while message := control.recv(1000):
    say("got " + message.decode())
say("is alone")
"""


class Parent:
    """A supervisor in a thread, and what its children have written."""

    def __init__(self, path: Path) -> None:
        self.path, self.children = path, {}
        path.touch()

    def slot(self, name: str, message: bytes = b"") -> Slot:
        def start() -> ChildProcess:
            self.children[name] = ChildProcess([sys.executable, "-c", CHILD, name, str(self.path)], message=message)
            return self.children[name]

        return Slot(name, start, takes_certificate=name == "told")

    def serve(self, *slots: Slot, beside: Companion | None = None) -> "Parent":
        """Begin, until stop()."""
        self.server = WebServer(socket.socket(), slots, reloader=None, drain_timeout=5, beside=beside)
        self.code: list[int] = []
        self.thread = threading.Thread(target=lambda: self.code.append(self.server.supervise()))
        self.thread.start()
        return self

    def said(self) -> list[str]:
        return self.path.read_text().splitlines()

    def stop(self) -> int:
        self.server.stop()
        self.thread.join(PATIENCE)
        return self.code[0]


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parent]:
    """One that looks at its children often."""
    monkeypatch.setattr(server, "POLL_INTERVAL", 0.05)
    monkeypatch.setattr(server, "BACKOFF_MIN", 0.05)
    made = Parent(tmp_path / "said")
    yield made
    for child in made.children.values():
        if child.alive():
            child.send_signal(signal.SIGKILL)
        child.close()


def test_a_process_that_ends_by_itself_is_started_again_and_what_it_has_to_know_is_told_anew(parent: Parent) -> None:
    parent.serve(parent.slot("told", b"a secret"))
    wait_for(lambda: parent.said() == ["told got a secret"], PATIENCE, "it has started")
    parent.children["told"].send_signal(signal.SIGKILL)
    wait_for(lambda: parent.said() == ["told got a secret"] * 2, PATIENCE, "it has started again")
    assert parent.stop() == 0
    assert parent.said()[2:] == ["told left by SIGTERM"]


class Pages:
    """What serves beside them: it says what it is told to do."""

    def __init__(self, path: Path) -> None:
        self.path, self.looks = path, 0

    def say(self, what: str) -> None:
        with self.path.open("a") as file:
            file.write(f"pages {what}\n")

    def start(self) -> None:
        self.say("started")

    def supervise(self) -> None:
        self.looks += 1

    def replace(self) -> None:
        self.say("replaced")

    def stop(self) -> None:
        self.say("stopped")


def test_what_the_others_need_starts_first_is_looked_after_and_stops_last(parent: Parent) -> None:
    pages = Pages(parent.path)
    parent.serve(parent.slot("one"), beside=pages)
    wait_for(lambda: parent.said() == ["pages started", "one started"], PATIENCE, "both have started")
    wait_for(lambda: pages.looks > 2, PATIENCE, "it is looked after")
    parent.server.reload()
    wait_for(lambda: len(parent.said()) == 5, PATIENCE, "all are replaced")
    assert parent.said()[2:] == ["pages replaced", "one started", "one left by SIGUSR1"]
    assert parent.stop() == 0
    assert parent.said()[5:] == ["one left by SIGTERM", "pages stopped"]


def test_a_program_whose_processes_cannot_start_ends(parent: Parent) -> None:
    parent.serve(parent.slot("broken"))
    parent.thread.join(PATIENCE)
    assert parent.code == [1]
    assert parent.said() == ["broken started"] * server.START_ATTEMPTS


def test_each_is_replaced_by_one_that_serves_and_only_then_told_to_leave(parent: Parent) -> None:
    parent.serve(parent.slot("one"), parent.slot("two"))
    wait_for(lambda: len(parent.said()) == 2, PATIENCE, "both have started")
    time.sleep(0.2)
    parent.server.reload()
    wait_for(lambda: len(parent.said()) == 6, PATIENCE, "both are replaced")
    assert parent.said()[2:] == [f"{name} {what}" for name in ("one", "two") for what in ("started", "left by SIGUSR1")]
    assert parent.stop() == 0


def test_where_the_kernel_gives_no_process_it_is_tried_again_and_those_that_run_go_on(parent: Parent) -> None:
    slot, failures = parent.slot("one"), [1]
    start = slot.start

    def failing() -> ChildProcess:
        if failures and failures.pop():
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return start()

    slot.start = failing
    parent.serve(slot)
    wait_for(lambda: parent.said() == ["one started"], PATIENCE, "it is tried again")
    wait_for(lambda: slot.served, PATIENCE, "it serves")
    failures.append(1)
    parent.server.reload()
    wait_for(lambda: not failures, PATIENCE, "it was to be replaced")
    failures.append(1)
    parent.children["one"].send_signal(signal.SIGKILL)
    wait_for(lambda: parent.said() == ["one started"] * 2, PATIENCE, "it is started again")
    assert parent.stop() == 0
    assert parent.said()[2:] == ["one left by SIGTERM"]


@pytest.mark.parametrize("missing", ["forking.subprocess.Popen", "web.child_process.os.pidfd_open"])
def test_a_child_that_could_not_be_started_leaves_nothing_open(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(f"hpns.{missing}", fails)
    with pytest.raises(OSError, match="Too many open files"):
        ChildProcess([sys.executable, "-c", "import time; time.sleep(60)"])
    assert os.listdir("/proc/self/fd") == before


def test_what_serves_beside_them_is_looked_after_while_a_successor_is_waited_for(
    parent: Parent, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages, slot = Pages(parent.path), parent.slot("one")
    parent.serve(slot, beside=pages)
    wait_for(lambda: slot.served, PATIENCE, "it serves")
    monkeypatch.setattr(ChildProcess, "check_ready", lambda _: False)
    parent.server.reload()
    wait_for(lambda: parent.said().count("one started") == 2, PATIENCE, "its successor has begun")
    looks = pages.looks
    wait_for(lambda: pages.looks > looks + 2, PATIENCE, "it is looked after")
    assert slot.process is not parent.children["one"]
    assert parent.stop() == 0


def test_a_child_sees_the_end_of_its_parent(parent: Parent) -> None:
    child = parent.slot("one").start()
    wait_for(child.check_ready, PATIENCE, "it serves")
    child.control.shutdown(socket.SHUT_RDWR)
    wait_for(lambda: parent.said() == ["one started", "one is alone"], PATIENCE, "it knows")
    assert child.close() == 0
