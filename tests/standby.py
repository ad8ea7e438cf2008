"""A standby of a stage's PostgreSQL, by streaming replication, that takes over under its primary's address.

Invariant: the primary that it takes over from is dead for good: nobody can write on both.
"""

import os
import signal
import subprocess
from contextlib import suppress

import psycopg

from hpns.local import wheels
from hpns.local.postgres import ENV, Postgres
from hpns.local.process import Child, descendants
from tests.bench.faults.forwarder import Forwarder
from tests.cluster import PASSWORD
from tests.stage import Stage
from tests.waiting import PATIENCE, wait_for


class Standby(Postgres):
    """Follows the stage's PostgreSQL from the moment it is made; see lose_primary(), lead_here(), promote()."""

    def __init__(self, stage: Stage, name: str = "standby") -> None:
        """Copy the primary and follow it."""
        super().__init__(stage.folder, PASSWORD)
        self._stage, self.name = stage, name
        self._data = stage.folder.servers / name
        self._port = stage.folder.port(name)
        self._address = int(stage.postgres.url.rpartition(":")[2].partition("/")[0])
        self._orphans: list[int] = []
        self._forwarder: Forwarder | None = None
        account = stage.folder.account
        self._data.mkdir(mode=0o700)
        account.own(self._data)
        program = wheels.postgres(stage.folder) / "pg_basebackup"
        subprocess.run(
            [program, "-D", self._data, "-d", stage.postgres.url, "-R", "-X", "stream", "-c", "fast", "--no-sync"],
            env=ENV,
            cwd="/",
            user=account.uid if account.drops else None,
            group=account.gid if account.drops else None,
            extra_groups=[] if account.drops else None,
            check=True,
            capture_output=True,
            timeout=PATIENCE,
        )
        self.start()
        wait_for(self.is_following, PATIENCE, "the standby follows")

    def start(self) -> None:
        """Start it, and wait until it can be asked."""
        self._stage.children[self.name] = Child(self.spec())
        wait_for(self.is_up, PATIENCE, "the standby can be asked")

    def is_up(self) -> bool:
        """Whether it can be asked."""
        with suppress(psycopg.Error), psycopg.connect(self.url, connect_timeout=2):
            return True
        return False

    def is_following(self) -> bool:
        """Whether it has come as far as the primary."""
        return bool(self._of_primary("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"))

    def make_synchronous(self) -> None:
        """Have the primary say that something is committed only when the standby has it on its disk."""
        # Of a server for tests that waits for no disk it is a role's setting; open sessions have begun without it.
        self._of_primary("ALTER ROLE ALL SET synchronous_commit = 'on'")
        self._of_primary(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        self._of_primary("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self._of_primary("SELECT pg_reload_conf()")
        wait_for(
            lambda: self._of_primary("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"),
            PATIENCE,
            "the primary waits for the standby",
        )

    def _of_primary(self, question: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self._stage.postgres.url, autocommit=True) as connection:
            asked = connection.execute(question)  # type: ignore[arg-type]
            return asked.fetchall() if asked.description else []

    def lose_primary(self, *, hanging: bool = False) -> None:
        """Kill the primary; hanging: as by its network, so that its sessions are open and say nothing any more."""
        child = self._stage.children["postgres"]
        if hanging:
            self._orphans = descendants(child.pid)
            for pid in self._orphans:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            os.kill(child.pid, signal.SIGKILL)
            wait_for(lambda: child.poll() is not None, PATIENCE, "the primary is dead")
            del self._stage.children["postgres"]
        else:
            self._stage.kill("postgres")

    def lead_here(self) -> None:
        """Have the primary's address lead to the standby from here on, whether promoted or not."""
        self._forwarder = Forwarder("127.0.0.1", self._address, self._port)
        self._forwarder.__enter__()

    def promote(self) -> None:
        """Make it the primary, which the stage's next start of PostgreSQL is of, too; the old one's sessions end."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SELECT pg_promote(true, 60)")
        self._stage.children["postgres"] = self._stage.children.pop(self.name)
        self._stage.postgres = self

    def close(self) -> None:
        """End what is left of the old primary, and the address."""
        for pid in self._orphans:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._forwarder is not None:
            self._forwarder.__exit__(None, None, None)
            self._forwarder = None
