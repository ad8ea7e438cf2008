"""A pytest plugin that tells what each test file costs: `bin/test -p tests.cpu --cpu PATHS`.

Processor seconds, not time: these are what the suite is short of, and another's work beside it changes them little.
Counted is the process that runs the tests and all that it has started; without --forks also the stores that bin/test
started, which nobody else uses then. Beside a file's own, its first test pays for what a session's fixture starts.
"""

import ctypes
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

TICKS: Final = os.sysconf("SC_CLK_TCK")
# By this name a report carries the figure.
PROPERTY: Final = "processor_seconds"
SHOWN: Final = 60
# prctl(2): who has lost its parent becomes a child of this process, and what it has used is found in /proc still.
# Chromium, for one, waits for none of its processes.
PR_SET_CHILD_SUBREAPER: Final = 36


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --cpu."""
    parser.addoption("--cpu", choices=("file", "test"), nargs="?", const="file", help="Processor seconds of each.")


def pytest_configure(config: pytest.Config) -> None:
    """Count, where asked to."""
    if config.getoption("cpu"):
        config.pluginmanager.register(Counting(config))


def used(root: int) -> float:
    """Processor seconds of a process, of those below it, and of what they have waited for."""
    parents: dict[int, list[int]] = {}
    seconds: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                words = (folder / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):  # it has just ended
                continue
            pid = int(folder.name)
            parents.setdefault(int(words[1]), []).append(pid)
            seconds[pid] = sum(map(int, words[11:15])) / TICKS
    found, total = [root], 0.0
    while found:
        pid = found.pop()
        total += seconds.get(pid, 0.0)
        found.extend(parents.get(pid, ()))
    return total


class Counting:
    """What has been used at the last look, and by whom since the run began."""

    def __init__(self, config: pytest.Config) -> None:
        self.by_test = config.getoption("cpu") == "test"
        self.forks = bool(config.getoption("forks", 0))
        self.last: float | None = None
        self.sums: Counter[str] = Counter()

    def _name(self, nodeid: str) -> str:
        return nodeid if self.by_test else nodeid.partition("::")[0]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self) -> None:
        """Look before the first test."""
        if self.last is None:
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            self.last = used(self._root())

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
        """Look after the last test of a file: a look walks through all processes."""
        yield
        if nextitem is None or self._name(nextitem.nodeid) != self._name(item.nodeid):
            now = used(self._root())
            item.user_properties.append((PROPERTY, now - (self.last or 0)))
            self.last = now

    def _root(self) -> int:
        return os.getpid() if self.forks else os.getppid()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add up; in the parent of forked processes, too."""
        if report.when == "teardown":
            self.sums[self._name(report.nodeid)] += sum(
                value for name, value in report.user_properties if name == PROPERTY and isinstance(value, float)
            )

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Tell the dearest, and the sum."""
        for name, seconds in self.sums.most_common(SHOWN):
            terminalreporter.write_line(f"{seconds:8.2f}  {name}")
        terminalreporter.write_line(f"{self.sums.total():8.2f}  of the processor altogether")
