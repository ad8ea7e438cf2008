"""A web server for tests: the real ingest process on real stores, without workers, and what a caller sees of it.

Invariant: whatever a test sends, the process belongs to the test's module and ends with it.
"""

import base64
import http.client
import io
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import redis

from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.postgres import PAGES_USER, Postgres
from hpns.local.process import Child, Spec
from hpns.local.valkey import Valkey
from tests import cluster
from tests.stage import ROOT, a_push, free_port
from tests.waiting import PATIENCE, wait_for

# Seconds for a push and for a body at the server of conftest.py; bytes of a body at every server.
DEADLINE, BODY_DEADLINE, BODY_LIMIT = 0.15, 1.0, 256 * 1024
# The same in every process: it stands in the names of tests.
PUSH = json.dumps(a_push(ack_id="a" * 26, post_id="p" * 26, device_id="5a" * 32)).encode()
ACK = b'{"id":"ack","platform":"ios","type":"message"}'
SEND_PUSH = "/api/v1/send_push"
SEED = """
import json
import django
django.setup()
from billing import customers, entitlements, tpns
from tenants import services
def server(name, offer="eas"):
    customer = customers.add(name=name, offer=offer).row
    return services.server_add(customer=customer, name="chat").row
acme, cosmos, hugo = server("Acme"), server("Cosmos"), server("Hugo", "hpns")
entitlements.change(customer=hugo.customer, may_use_server_id=True)
services.server_id_add(server=hugo, mattermost_id="hugos-own", confirmed=True)
fenced = services.server_add(customer=hugo.customer, name="fenced").row
services.server_networks(server=fenced, networks=["203.0.113.0/24"])
trial = server("Trial", "tpns")
tpns.add()
revoked = services.key_add(server=acme)
services.key_revoke(key=revoked.row)
print(json.dumps({"key": services.key_add(server=acme).text, "stranger": services.key_add(server=cosmos).text,
                  "revoked": revoked.text, "fenced": services.key_add(server=fenced).text,
                  "trial": services.key_add(server=trial).text}))
"""


class Stores:
    """PostgreSQL and Valkey with the tables and customers: Acme with a good and a revoked key; Cosmos, a stranger; Hugo
    with the server_id "hugos-own", and a server that pushes from 203.0.113.0/24 alone; Trial of the test service.

    env: the settings of a service on them; owner: the URL of the database, as its owner; pages_user: the user of web
    processes in it; key, revoked, stranger, fenced, trial: the texts of the keys.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Folder(folder, for_servers())
        postgres = Postgres(self.folder, cluster.PASSWORD, fast=True)
        valkey = Valkey(self.folder, "door-password", fast=True)
        self.env = {
            **cluster.settings_on(postgres, valkey),
            # What a killed process leaves of its downloads goes with the rest.
            "TMPDIR": str(folder),
        }
        self.owner, self.pages_user = postgres.url, PAGES_USER
        self._children: list[Child] = []
        try:
            cluster.copy_into(self.folder, self.env)
            for spec in (postgres.spec(), valkey.spec()):
                self._children.append(Child(spec))
                wait_for(spec.ready, PATIENCE, f"{spec.name} serves")
            with redis.Redis.from_url(valkey.url) as client:
                # Each push is on the disk at once: here they are OK when their short deadline has come.
                client.config_set("appendfsync", "always")
                client.config_set("appendonly", "yes")
            done = subprocess.run(
                [sys.executable, "-c", SEED], cwd=ROOT, env=self.env, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        except BaseException:
            self.close()
            raise
        seeded = json.loads(done.stdout.splitlines()[-1])
        self.key, self.revoked, self.stranger = seeded["key"], seeded["revoked"], seeded["stranger"]
        self.fenced, self.trial = seeded["fenced"], seeded["trial"]

    def close(self) -> None:
        """Stop both."""
        for child in reversed(self._children):
            child.kill()


class Server:
    """A running web server (hpns.ingest). trust: what a caller with TLS checks it against; None = plain HTTP."""

    def __init__(
        self, stores: Stores, settings: Mapping[str, str], trust: ssl.SSLContext | None = None, workers: int = 1
    ) -> None:
        self.stores, self.trust = stores, trust
        self.port = free_port()
        self._read = 0
        self.log_file = stores.folder.logs / f"ingest-{self.port}.log"
        command = [sys.executable, "-m", "hpns.ingest", "--port", str(self.port), "--workers", str(workers)]
        # There are no providers: a push is OK when its deadline has come.
        env = {**stores.env, "DELIVER_FROM": "workers", **settings}
        if "PUSH_DEADLINE" in env:  # the two have to fit together, or nothing starts
            env.setdefault("ATTEMPT_DEADLINE", str(float(env["PUSH_DEADLINE"]) / 2))
        self.child = Child(Spec(name="ingest", command=command, env=env, log=self.log_file, cwd=ROOT))
        try:
            wait_for(lambda: self.ended() or self.live(), PATIENCE, "the front door serves")
            assert not self.ended(), self.log()
        except BaseException:
            self.close()
            raise

    def live(self) -> bool:
        """Whether it answers."""
        try:
            return self.send(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")[:12] == (
                b"HTTP/1.1 200"
            )
        except OSError:
            return False

    def ended(self) -> bool:
        """Whether the process is no more."""
        return self.child.poll() is not None

    def log(self) -> str:
        """Its log since the last `mark_log`."""
        return self.log_file.read_bytes()[self._read :].decode("utf-8", "replace")

    def mark_log(self) -> None:
        """From here on, `log` returns only what is appended."""
        self._read = self.log_file.stat().st_size

    def processes(self) -> list[int]:
        """The ids of its web processes, old ones that are leaving too."""
        return [child for child in self._children() if not _is_of_pages(child)]

    def pages_processes(self) -> list[int]:
        """The ids of its pages process, and of old ones that are leaving."""
        return [child for child in self._children() if _is_of_pages(child)]

    def _children(self) -> list[int]:
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/stat") if _parent(path) == self.child.pid]

    def stop(self, seconds: float = 12) -> int:
        """SIGTERM; returns the exit code, fails when it takes longer than `seconds`."""
        os.kill(self.child.pid, signal.SIGTERM)
        wait_for(self.ended, seconds, "the front door stops")
        return self.child.poll() or 0

    def close(self) -> None:
        """End it at once."""
        self.child.kill()

    def connect(self, seconds: float = PATIENCE, trust: ssl.SSLContext | None = None) -> socket.socket:
        """A fresh connection, with TLS where the server has it: without ALPN and resumption, as Mattermost's are."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=seconds)
        trust = trust or self.trust
        if trust is None:
            return plain
        return trust.wrap_socket(plain, server_hostname="localhost")

    def send(self, request: bytes) -> bytes:
        """Send bytes on a fresh connection and return all that comes until the other side closes."""
        with self.connect() as connection:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65536), b""))


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
    except OSError:  # it has ended
        return 0


def _is_of_pages(process: int) -> bool:
    try:
        return b"hpns.pages_process" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:  # it has ended
        return False


def request(path: str, body: bytes = b"", method: str = "POST", close: bool = True, **headers: str) -> bytes:
    """The bytes of an ordinary request; `X_Name` among the headers becomes `X-Name`."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "User-Agent: Mattermost-Bot/1.1"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}"] if method in ("POST", "PUT") else []
    lines += ["Connection: close"] if close else []
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunked(path: str, body: bytes, *, whole: bool = True) -> bytes:
    """The bytes of a request in chunks of 64 KB."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    parts = [body[at : at + 65536] for at in range(0, len(body), 65536)]
    return head + b"".join(f"{len(p):x}\r\n".encode() + p + b"\r\n" for p in parts) + (b"0\r\n\r\n" if whole else b"")


def receive(connection: socket.socket) -> tuple[int, bytes]:
    """One answer; the connection stays open."""
    found = http.client.HTTPResponse(connection)
    found.begin()
    return found.status, found.read()


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def answer(data: bytes, method: str = "POST") -> http.client.HTTPResponse:
    """The first answer in the bytes."""
    found = http.client.HTTPResponse(_Bytes(data), method=method)  # type: ignore[arg-type]
    found.begin()
    return found


def error_of(data: bytes) -> str:
    """The error text of a FAIL, which must be HTTP 200 and strings only."""
    found = answer(data)
    body = json.loads(found.read())
    assert (found.status, body["status"], list(body)) == (200, "FAIL", ["status", "error"])
    return str(body["error"])


def basic(user: str, password: str = "") -> str:
    """The header of a URL's userinfo."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
