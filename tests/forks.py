"""A pytest plugin that collects once and forks: `-p tests.forks --forks N`.

Each process of pytest-xdist imports and collects all tests anew, at ten seconds of processor time, which is a tenth of
what the suite takes; here N processes have what one has collected. Each is told to run the tests of one scope of
tests/schedule.py after the other, in their order. To fixtures and plugins it looks like a process of pytest-xdist.

Invariant: each collected test is reported exactly once. One whose process died is reported as failed, and so are those
of its scope that had to follow.
"""

import os
import random
import signal
from collections import deque
from collections.abc import Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, NoReturn

import pytest

from tests import schedule

# What a process says: a report, which test it begins, that it has no test after this one, that it has come to its end.
REPORT, BEGINS, MORE, DONE = "report", "begins", "more", "done"


class Hooks:
    """What a conftest can implement."""

    @staticmethod
    def pytest_forked(config: pytest.Config, number: int) -> None:
        """Make what the process `number` has of its parent its own; called in it before its first test."""


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Make the hook known."""
    pluginmanager.add_hookspecs(Hooks)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --forks."""
    parser.addoption("--forks", type=int, default=0, help="Run the tests in so many processes, collected once.")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run all tests in forked processes; without --forks as ever (None). Raises as pytest's own does."""
    config = session.config
    if not config.getoption("forks") or config.option.collectonly or session.testsfailed:
        return None
    config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    crew = Crew(session)
    try:
        for number in range(config.getoption("forks")):
            crew.fork(number)
        for report in crew.reports():
            config.hook.pytest_runtest_logreport(report=report)
            if session.shouldfail or session.shouldstop:
                crew.waiting.clear()
    finally:
        crew.end()
    if session.shouldfail:
        raise session.Failed(session.shouldfail)
    if session.shouldstop:
        raise session.Interrupted(session.shouldstop)
    return True


class Member:
    """A forked process, seen from the parent: its tests that have no end yet, and the one it has begun."""

    def __init__(self, pid: int, connection: Connection) -> None:
        self.pid, self.connection = pid, connection
        self.given: list[int] = []
        self.begun: int | None = None
        self.done = False


class Crew:
    """The parent's side."""

    def __init__(self, session: pytest.Session) -> None:
        self.session = session
        self.members: dict[Connection, Member] = {}
        scopes: dict[str, list[int]] = {}
        for index, item in enumerate(session.items):
            scopes.setdefault(schedule.scope(item.nodeid), []).append(index)
        self.waiting = deque(scopes.values())

    def fork(self, number: int) -> None:
        """Start one process."""
        ours, theirs = Pipe()
        pid = os.fork()
        if pid == 0:
            for other in (ours, *self.members):
                other.close()
            _be_a_member(self.session, number, theirs)
        theirs.close()
        self.members[ours] = Member(pid, ours)

    def reports(self) -> Iterator[pytest.TestReport]:
        """Give out the tests; each report as it comes, until all processes have ended."""
        while self.members:
            for connection in wait(list(self.members)):
                member = self.members[connection]  # type: ignore[index]
                try:
                    kind, what = member.connection.recv()
                    if kind == MORE:
                        self._give(member)
                except (EOFError, ConnectionError):
                    yield from self._lost(member)
                    continue
                if kind == BEGINS:
                    self._ended(member)
                    member.begun = what
                elif kind == DONE:
                    member.done = True
                elif kind == REPORT:
                    yield self.session.config.hook.pytest_report_from_serializable(
                        config=self.session.config, data=what
                    )
        for index in (index for scope in self.waiting for index in scope):
            yield _failed(self.session.items[index], "not run: all processes have ended")

    def _give(self, member: Member) -> None:
        scope = self.waiting.popleft() if self.waiting else []
        member.given.extend(scope)
        member.connection.send(scope)

    def _ended(self, member: Member) -> None:
        if member.begun is not None:
            member.given.remove(member.begun)

    def _lost(self, member: Member) -> Iterator[pytest.TestReport]:
        """A process that says nothing more: what it owes is failed, unless it had come to its end."""
        code = os.waitstatus_to_exitcode(os.waitpid(member.pid, 0)[1])
        del self.members[member.connection]
        member.connection.close()
        if member.done:
            return
        for index in member.given:
            item = self.session.items[index]
            yield _failed(item, f"its process ended with {code} in {self._running(member)}")

    def _running(self, member: Member) -> str:
        return "no test" if member.begun is None else self.session.items[member.begun].nodeid

    def end(self) -> None:
        """Interrupt those that still run, as Ctrl-C does, and wait until they have cleared up."""
        for member in self.members.values():
            os.kill(member.pid, signal.SIGINT)
        for member in self.members.values():
            member.connection.close()
            os.waitpid(member.pid, 0)


def _failed(item: pytest.Item, why: str) -> pytest.TestReport:
    return pytest.TestReport(item.nodeid, item.location, {}, "failed", why, "call")


class Reporter:
    """In a forked process: sends each report."""

    def __init__(self, config: pytest.Config, connection: Connection) -> None:
        self.config, self.connection = config, connection

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Send it; what is not of JSON's kinds is sent as text."""
        self.connection.send(
            (REPORT, self.config.hook.pytest_report_to_serializable(config=self.config, report=report))
        )


def _be_a_member(session: pytest.Session, number: int, connection: Connection) -> NoReturn:
    """Run what the parent gives until it gives nothing more; ends the process."""
    code = 1
    try:
        _make_own(session.config, number)
        session.config.pluginmanager.register(Reporter(session.config, connection))
        _run(session, connection)
        code = 0
    except (KeyboardInterrupt, EOFError, ConnectionError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's and the parent's
        session._setupstate.teardown_exact(None)
    finally:
        os._exit(code)


def _make_own(config: pytest.Config, number: int) -> None:
    """Part with what would be shared with the other processes: names, folders, files of captured output, chance."""
    plugins: Any = config.pluginmanager
    name = f"gw{number}"
    os.environ |= {"PYTEST_XDIST_WORKER": name, "PYTEST_XDIST_WORKER_COUNT": str(config.getoption("forks"))}
    config.workerinput = {"workerid": name, "workercount": config.getoption("forks")}  # type: ignore[attr-defined]
    plugins.unregister(name="terminalreporter")
    capture = plugins.getplugin("capturemanager")
    capture.stop_global_capturing()
    capture.start_global_capturing()
    capture.suspend_global_capture(in_=True)
    folders: Any = config._tmp_path_factory  # type: ignore[attr-defined]
    folders._basetemp = folders.getbasetemp() / name
    folders._basetemp.mkdir()
    random.seed()
    config.hook.pytest_forked(config=config, number=number)


def _run(session: pytest.Session, connection: Connection) -> None:
    mine = deque(_more(connection))
    while mine:
        index = mine.popleft()
        if not mine:  # asked for now, because what two tests share stays only when the next one is known
            mine.extend(_more(connection))
        following = session.items[mine[0]] if mine else None
        connection.send((BEGINS, index))
        item = session.items[index]
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    connection.send((DONE, None))


def _more(connection: Connection) -> list[int]:
    connection.send((MORE, None))
    more: list[int] = connection.recv()
    return more
