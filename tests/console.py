"""One Python in a service's environment that runs what a test wants run there, one thing after the other.

Each start of Django takes a second of processor time, and an operator's command is a start. What is run here is run in
full, by manage.py's own entry; but it shares its process with what was run before it. Invariant: the process ends when
its standard input does, so that it outlives no test.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import NamedTuple

import django
from django.core.management import execute_from_command_line
from django.db import connections

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 180.0
"""Seconds for one thing; it only ends a test that would hang."""


class Done(NamedTuple):
    """How something ended: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


class Console:
    """The process, seen from the tests. env: its environment; root: the tree whose programs run."""

    def __init__(self, env: dict[str, str], log: Path, root: Path = ROOT) -> None:
        """Start it; what it is asked for first waits until Django is there. What is logged goes to the file `log`."""
        self.env = dict(env)
        command = [sys.executable, "-m", "tests.console"]
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                command, cwd=root, env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=file
            )

    def run(self, *arguments: str) -> Done:
        """Run `manage.py ARGUMENT...` or `-c CODE ARGUMENT...`. Raises AssertionError when it takes too long."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        watch = threading.Timer(LONGEST, self._process.kill)
        watch.start()
        try:
            stdin.write(json.dumps(arguments).encode() + b"\n")
            stdin.flush()
            line = stdout.readline()
        finally:
            watch.cancel()
        assert line, f"{arguments} had no end within {LONGEST:g} s, or ended Python"
        return Done(*json.loads(line))

    @property
    def open(self) -> bool:
        """Whether it can be asked for more."""
        return self._process.returncode is None

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


def _do(arguments: list[str]) -> int:
    """Run one thing; its exit code."""
    # As Python sets it: what is run with -c does not see itself.
    sys.argv = [arguments[0], *arguments[2:]] if arguments[0] == "-c" else arguments
    try:
        if arguments[0] == "-c":
            exec(compile(arguments[1], "<console>", "exec"), {"__name__": "__main__"})  # noqa: S102 - a test's own code
        else:
            execute_from_command_line(arguments)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
            return 1
        return end.code or 0
    except Exception:  # noqa: BLE001 - told as Python tells it, and the next thing is run all the same
        traceback.print_exc()
        return 1
    finally:
        connections.close_all()
    return 0


def main() -> None:
    """Serve until there is nobody to ask."""
    stdout = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a program below writes is no answer of ours
    django.setup()
    for line in sys.stdin:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = _do(json.loads(line))
        print(json.dumps(Done(code, out.getvalue(), err.getvalue())), file=stdout, flush=True)


if __name__ == "__main__":
    main()
