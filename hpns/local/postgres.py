"""The embedded PostgreSQL: its data folder, its command line, its address.

Invariant: it listens on 127.0.0.1 alone and wants the generated password. A data folder without its `made` mark is an
interrupted initdb and is made anew; one with it is never removed.
"""

import shutil
import signal
import subprocess
from pathlib import Path

import psycopg

from hpns.local import wheels
from hpns.local.folder import Folder, private
from hpns.local.problem import ProblemError
from hpns.local.process import Spec

USER = "hpns"
# The roles that bind the pages and the worker; see hpns/database_roles.py.
PAGES_USER, WORKER_USER, DIRECTORY_USER = "hpns_pages", "hpns_worker", "hpns_directory"
# PostgreSQL gets no environment of ours: no PGDATA or PGPORT of another installation, no secrets of the service.
ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
# For tests alone: nothing survives a crash of the machine, and nothing has to.
FAST = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]


class Postgres:
    """One PostgreSQL in a state folder; `fast` gives up safety against crashes of the machine (tests)."""

    def __init__(self, folder: Folder, password: str, *, fast: bool = False) -> None:
        self._folder = folder
        self._password = password
        self._fast = fast
        self._data = folder.servers / "postgres"
        self._port = folder.port("postgres")

    @property
    def url(self) -> str:
        """The DATABASE_URL of the service."""
        return self.url_of(USER, self._password)

    def url_of(self, user: str, password: str) -> str:
        """The same database for another user, which `manage.py database_roles` makes."""
        return f"postgresql://{user}:{password}@127.0.0.1:{self._port}/postgres"

    def spec(self) -> Spec:
        """Make the data folder if need be; returns the Spec that starts the server. Raises ProblemError."""
        programs = wheels.postgres(self._folder)
        if not (self._data / "made").exists():
            self._make(programs)
        self._remove_stale_pid_file()
        return Spec(
            name="postgres",
            command=[
                *(programs / "postgres", "-D", self._data, "-h", "127.0.0.1", "-p", str(self._port), "-k", ""),
                *("-c", "shared_buffers=64MB", "-c", "max_connections=200"),
                *(FAST if self._fast else []),
            ],
            env=ENV,
            log=self._folder.logs / "postgres.log",
            account=self._folder.account,
            stop_signal=signal.SIGINT,  # "fast": ends the sessions, then stops cleanly
            stop_seconds=20,
            ready=self._answers,
        )

    def _make(self, programs: Path) -> None:
        account = self._folder.account
        if self._data.exists():
            shutil.rmtree(self._data)
        self._data.mkdir(mode=0o700)
        account.own(self._data)
        password_file = self._folder.servers / "postgres.password"
        private(password_file, self._password, account)
        try:
            result = subprocess.run(
                [
                    *(programs / "initdb", "-D", self._data, "-U", USER, "-A", "scram-sha-256"),
                    *("--pwfile", password_file, "-E", "UTF8", "--locale=C.UTF-8"),
                    # Text compared byte by byte: a row of the log costs a seventh less with its indexes.
                    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
                    *(["--no-sync"] if self._fast else []),
                ],
                env=ENV,
                cwd="/",
                user=account.uid if account.drops else None,
                group=account.gid if account.drops else None,
                extra_groups=[] if account.drops else None,
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            password_file.unlink()
        if result.returncode:
            raise ProblemError(f"initdb failed in {self._data}: {result.stderr.strip().splitlines()[-1:]}")
        (self._data / "made").touch()

    def _remove_stale_pid_file(self) -> None:
        """Remove the lock file of a server that was killed: its number may belong to another process by now."""
        lock = self._data / "postmaster.pid"
        try:
            holder = int(lock.read_text(encoding="utf-8").split()[0])
        except (FileNotFoundError, IndexError, ValueError):
            lock.unlink(missing_ok=True)
            return
        try:
            alive = Path(f"/proc/{holder}/cwd").readlink() == self._data  # a server works in its data folder
        except OSError:
            alive = False
        if alive:
            raise ProblemError(f"A PostgreSQL of an earlier start still runs on {self._data}: kill -INT {holder}.")
        lock.unlink()

    def _answers(self) -> bool:
        # Its own word first (line 8, where pg_ctl looks too): a connection that comes too early is logged as FATAL.
        lock = self._data / "postmaster.pid"
        if not lock.exists() or lock.read_text(encoding="utf-8").split("\n")[7:8] != ["ready   "]:
            return False
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True
