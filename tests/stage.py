"""The stage of the tests that need the whole service: real processes, real stores, the sandbox as Apple and Google.

A Stage has a PostgreSQL and a Valkey of its own, so that a test may stop them, and seeds Acme with a server key and
the apps of the recorded exchanges. Invariant: whatever a test kills, nothing of a stage outlives it.
"""

import base64
import http.client
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import redis

from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.postgres import Postgres
from hpns.local.process import Child, Spec, descendants
from hpns.local.valkey import Valkey
from tests import cluster, log_as_text
from tests.console import Console
from tests.sandbox_fixture import SandboxClient, running_sandbox
from tests.waiting import PATIENCE, wait_for

ROOT = Path(__file__).resolve().parent.parent
RUNNING: list["Stage"] = []
SEED = """
import json, sys
from pathlib import Path
import django
django.setup()
from tests.cast import seed
print(json.dumps(seed(Path(sys.argv[1]))))
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Stage:
    """A running service. key: Acme's server key; url: where it listens; sandbox: the providers."""

    def __init__(self, folder: Path, sandbox: SandboxClient, settings: dict[str, str], root: Path = ROOT) -> None:
        """root: the tree whose programs run; what is not in it (the tests) is taken from this one."""
        self.root = root
        self.folder = Folder(folder, for_servers())
        self.sandbox = sandbox
        self.postgres = Postgres(self.folder, cluster.PASSWORD, fast=True)
        self.valkey = Valkey(self.folder, "stage-password")  # durable: what it said yes to survives its restart
        self.port = free_port()
        self.children: dict[str, Child] = {}
        self.env = {
            **cluster.settings_on(self.postgres, self.valkey),
            "PYTHONPATH": os.pathsep.join(dict.fromkeys((str(root), str(ROOT)))),
            "APNS_ORIGIN": sandbox.origin,
            "APNS_SANDBOX_ORIGIN": sandbox.other_origin,
            "FCM_ORIGIN": sandbox.origin,
            "GOOGLE_TOKEN_ORIGIN": sandbox.origin,
            "PROVIDER_CA_FILE": sandbox.ca_file,
            "PUBLIC_URL": f"http://127.0.0.1:{self.port}",
            "SANDBOX_URL": f"{sandbox.page}/",
            **settings,
        }
        self.key = ""
        self._console: Console | None = None

    # --- Processes

    def start_postgres(self) -> None:
        """Start PostgreSQL and wait until it serves."""
        self._start(self.postgres.spec())

    def start_valkey(self) -> None:
        """Start Valkey and wait until it serves."""
        self._start(self.valkey.spec())

    def start_ingest(self, workers: int = 1) -> None:
        """Start the web process."""
        self._python("ingest", "-m", "hpns.ingest", "--port", str(self.port), "--workers", str(workers))

    @contextmanager
    def more_ingest(self, workers: int) -> Iterator[int]:
        """Start as many web processes more for a while, on a port of their own: the port."""
        port = free_port()
        self._python("ingest2", "-m", "hpns.ingest", "--port", str(port), "--workers", str(workers))
        try:
            yield port
        finally:
            self.kill("ingest2")

    def start_worker(self, name: str = "worker") -> None:
        """Start a worker under this name."""
        self._python(name, "-m", "hpns.worker")

    def start_beat(self) -> None:
        """Start the timetable."""
        self._python("beat", "-m", "hpns.beat", "-s", str(self.folder.path / "beat"))

    def _python(self, name: str, *arguments: str) -> None:
        log = self.folder.path / f"{name}.log"
        spec = Spec(name=name, command=(sys.executable, *arguments), env=self.env, log=log, cwd=self.root)
        self.children[name] = Child(spec)

    def _start(self, spec: Spec) -> None:
        self.children[spec.name] = Child(spec)
        wait_for(spec.ready, PATIENCE, f"{spec.name} serves")

    def kill(self, name: str) -> None:
        """SIGKILL, to it and what it started."""
        self.children.pop(name).kill()

    def stop(self, name: str, seconds: float = 20) -> None:
        """Ask a process to stop and wait until it has."""
        child = self.children.pop(name)
        child.send_stop_signal()
        try:
            wait_for(lambda: child.poll() is not None, seconds, f"{name} stops")
        finally:
            child.kill()

    def pause(self, name: str) -> None:
        """SIGSTOP: it is there and does nothing."""
        self._signal(name, signal.SIGSTOP)

    def go_on(self, name: str) -> None:
        """SIGCONT."""
        self._signal(name, signal.SIGCONT)

    def _signal(self, name: str, number: signal.Signals) -> None:
        child = self.children[name]
        child.signal_group(number)
        for pid in descendants(child.pid):  # PostgreSQL's sessions have groups of their own
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    @contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Hold a process still for a while; it goes on also when a test fails, for the sake of the tests after it."""
        self.pause(name)
        try:
            yield
        finally:
            self.go_on(name)

    def log(self, name: str) -> str:
        """What a process has logged."""
        return (self.folder.path / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    # --- Looking

    def run(self, *arguments: str) -> str:
        """Run `manage.py ...` or `-c CODE ...` in the service's environment; returns what it printed.

        Raises AssertionError with what it wrote to stderr when it ends with another exit code than 0.
        """
        done = self.console().run(*arguments)
        assert done.code == 0, done.err
        return done.out

    def console(self) -> Console:
        """What runs commands in the service's environment; started when there is none for it as it is now."""
        if self._console is None or not self._console.open or self._console.env != self.env:
            self._leave_console()
            self._console = Console(self.env, self.folder.path / "console.log", self.root)
        return self._console

    def _leave_console(self) -> None:
        if self._console is not None:
            self._console.close()
            self._console = None

    def manage(self, *arguments: str) -> str:
        """Run a management command."""
        return self.run("manage.py", *arguments)

    def redis(self) -> redis.Redis:
        """A client of the stage's Valkey."""
        return redis.Redis.from_url(self.valkey.url)

    def rows(self, where: str = "true", *values: object) -> list[dict[str, Any]]:
        """Rows of the delivery log, oldest first."""
        with psycopg.connect(self.postgres.url, row_factory=psycopg.rows.dict_row) as connection:
            query = f"SELECT * FROM ({log_as_text.QUERY}) AS log WHERE {where} ORDER BY accepted_at, trace"  # noqa: S608
            return connection.execute(query, values).fetchall()  # type: ignore[arg-type,call-overload]

    def logged(self, count: int, seconds: float = PATIENCE, where: str = "true") -> list[dict[str, Any]]:
        """The rows of the log once there are `count` of them; fails when there are more, or not so many in time."""
        rows = wait_for(lambda: (found := self.rows(where)) and len(found) >= count and found, seconds, f"{count} rows")
        assert len(rows) == count, f"{len(rows)} rows, not {count}"
        return list(rows)

    def ready(self) -> bool:
        """Whether the service says that it is ready."""
        try:
            return self.get("/health/ready")[0] == 200
        except OSError:
            return False

    # --- Pushing

    def get(self, path: str) -> tuple[int, bytes]:
        """GET; returns the status and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """POST as a Mattermost server does: no Content-Type; returns the status and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", path, body, {"User-Agent": "Mattermost-Bot/1.1", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def push(self, *, key: str = "", **members: Any) -> dict[str, str]:
        """Send one push under a key, Acme's by default, and return the answer; `members` change an ordinary one's."""
        path = f"/t/{key or self.key}/api/v1/send_push"
        status, answer = self.post(path, json.dumps(a_push(**members)).encode())
        assert status == 200, answer
        body: dict[str, str] = json.loads(answer)
        return body

    def close(self) -> None:
        """Stop everything, the stores last."""
        self._leave_console()
        for name in reversed(list(self.children)):
            self.kill(name)


def a_push(**members: Any) -> dict[str, Any]:
    """An ordinary message to an iPhone of Acme's server, as a Mattermost server writes it."""
    return {
        "ack_id": base64.b32encode(os.urandom(16)).decode().lower()[:26],
        "platform": "apple_rn-v2",
        "server_id": "7up1nnng4trrmqbo9o8az4zmhy",
        "device_id": os.urandom(32).hex(),
        "post_id": base64.b32encode(os.urandom(16)).decode().lower()[:26],
        "category": "CAN_REPLY",
        "message": "ada: lunch at twelve?",
        "badge": 3,
        "channel_id": "zwed73333g63dcrphk8idgyjgz",
        "channel_name": "Town Square",
        "type": "message",
        "sender_name": "ada",
        "version": "v2",
        "is_crt_enabled": False,
        "is_id_loaded": False,
        "signature": "",
        **members,
    }


@contextmanager
def running_stage(folder: Path, *, workers: int = 1, root: Path = ROOT, **settings: str) -> Iterator[Stage]:
    """A service that is ready, with `workers` workers named worker, worker2 ...; settings are environment variables."""
    # Not below pytest's own folder: that is closed to the account that the servers run as, and they would leave
    # folders elsewhere.
    home = Path(tempfile.mkdtemp(prefix="hpns-stage-"))
    home.chmod(0o755)
    with running_sandbox(folder / "sandbox") as sandbox:
        stage = Stage(home / "service", sandbox, settings, root)
        RUNNING.append(stage)
        try:
            stage.console()  # it needs a second for itself
            cluster.copy_into(stage.folder, stage.env)
            stage.start_postgres()
            stage.start_valkey()
            if root != ROOT:  # another tree may have more tables
                stage.manage("migrate")
                stage.manage("database_roles")
            seeded = json.loads(stage.run("-c", SEED, str(folder / "sandbox" / "demo")))
            stage.key = seeded["key"]
            stage.start_ingest()
            for number in range(1, workers + 1):
                stage.start_worker("worker" if number == 1 else f"worker{number}")
            stage.start_beat()
            wait_for(stage.ready, PATIENCE, "the service is ready")
            yield stage
        finally:
            stage.close()
            shutil.rmtree(home, ignore_errors=True)
