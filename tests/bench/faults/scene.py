"""A service for faults: a stage with several customers, two web processes and two workers, and what is seen of it.

Invariant: whatever a fault leaves behind, unserved() or unended() finds it, and says in words what is not as it was.
"""

import json
import os
import random
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psycopg
import redis

from delivery.sandbox import certificates
from hpns.local.postgres import Postgres
from hpns.local.process import descendants
from tests import cluster
from tests.bench.faults import records
from tests.bench.faults.cast import BENT, MORE
from tests.bench.faults.load import Customer, Load
from tests.bench.faults.records import Record
from tests.sandbox_fixture import running_sandbox
from tests.stage import SEED, Stage
from tests.standby import Standby
from tests.waiting import PATIENCE, wait_for

WORKERS: Final = ("worker", "worker2")
WEB_PROCESSES: Final = 2
PROMPT: Final = 2.0
"""Seconds within which a push is answered when all is well, on a machine that is busy."""
DISK_MIB: Final = {"valkey": 256, "postgres": 512}
"""The size of each store's own disk."""


class Scene:
    """A running service, its customers, and the randomness of a run."""

    def __init__(self, stage: Stage, customers: list[Customer], chance: random.Random, disks: dict[str, Path]) -> None:
        """disks: the folders of the stores that have a disk of their own, by name."""
        self.stage, self.customers, self.random, self.disks = stage, customers, chance, disks
        self.since = int(stage.sandbox.state()["last"])
        self.standbys: list[Standby] = []
        self.begin()

    def begin(self) -> None:
        """Forget what a load's faults have noted: for people, what was wrong, and what its record is yet asked for."""
        self.notes: list[str] = []
        self.wrong: list[str] = []
        self.checks: list[Callable[[Record], list[str]]] = []

    def load(self, rate: float) -> Load:
        """A load of all customers, that has not begun yet."""
        return Load(self.stage.port, self.customers, rate, self.random.randrange(1 << 30))

    # --- Processes

    def web_processes(self, program: bytes = b"hpns.asgi") -> list[int]:
        """The processes that serve pushes, or run another program, below their parent."""
        child = self.stage.children.get("ingest")
        return [pid for pid in descendants(child.pid) if _runs(pid, program)] if child else []

    def serving(self) -> set[str]:
        """The names of the web processes that take pushes, by the traces of some that they turn away."""
        found = set()
        for _ in range(20):
            error = self.stage.push(platform="nobody's").get("error", "")
            found.add(error.rpartition("(trace ")[2].partition("-")[0])
        return found

    def wait_for_web(self) -> None:
        """Return when all web processes serve. Raises AssertionError when they do not."""
        wait_for(lambda: len(self.serving()) >= WEB_PROCESSES, PATIENCE, "web processes serve")

    def ensure(self) -> None:
        """Start again whatever a fault has ended and not started."""
        stage = self.stage
        for name, start in (("postgres", stage.start_postgres), ("valkey", stage.start_valkey)):
            if self.ended(name):
                start()
        if self.ended("ingest"):
            stage.start_ingest(WEB_PROCESSES)
        for name in WORKERS:
            if self.ended(name):
                stage.start_worker(name)
        if self.ended("beat"):
            stage.start_beat()

    def ended(self, name: str) -> bool:
        """Whether a process is not there."""
        child = self.stage.children.get(name)
        return child is None or child.poll() is not None

    def bend(self, file: str, word: str) -> None:
        """Set what all processes of ours take for the time (`clock`: seconds ahead) or for a name (`names`)."""
        folder = self.stage.folder.path / "bent"
        (folder / "new").write_text(word)
        (folder / "new").rename(folder / file)

    def background(self, command: list[str]) -> "subprocess.Popen[bytes]":
        """Start a command that goes on beside the load; who starts it ends it."""
        return subprocess.Popen(command, stdin=subprocess.DEVNULL)

    @contextmanager
    def renewed_certificate(self) -> Iterator[None]:
        """The providers' certificate is another one, of the same CA, and connections begin anew."""
        certificates.renew(self.stage.sandbox.folder)
        self.stage.sandbox.mode("up")
        yield

    # --- Looking

    def unended(self) -> list[str]:
        """What has not ended or is not written, in words; [] when all is."""
        return self._asked(self._left)

    def unserved(self) -> list[str]:
        """Whose pushes are not answered OK promptly, and other words for a service that does not serve; [] if none."""
        return self._asked(lambda: self._unanswered() if self.stage.ready() else ["not ready"])

    @staticmethod
    def _asked(look: Callable[[], list[str]]) -> list[str]:
        try:
            return look()
        except (redis.RedisError, OSError, psycopg.Error, AssertionError, ValueError) as error:
            return [f"{type(error).__name__}: {str(error)[:80]}"]

    def _unanswered(self) -> list[str]:
        found = []
        for customer in self.customers:
            for platform in ("apple_rn-v2", "android_rn-v2"):
                device = os.urandom(32).hex() if platform.startswith("apple") else f"fine:{os.urandom(60).hex()}"
                started = time.monotonic()
                answer = self.stage.push(key=customer.key, platform=platform, device_id=device)
                seconds = time.monotonic() - started
                if answer["status"] != "OK" or seconds > PROMPT:
                    error = answer.get("error", "").partition(" ")[0]
                    found.append(f"{customer.name}'s {platform}: {answer['status']} {error} after {seconds:.1f} s")
        return found

    def _left(self) -> list[str]:
        with self.stage.redis() as valkey:
            counts = {
                "batches open in the ledger": valkey.hlen("ledger:open"),
                "batches in the queue": valkey.llen("push"),
                "batches in hand": sum(valkey.llen(key) for key in valkey.scan_iter("taken:*:push")),
                "pushes to be tried again later": sum(valkey.zcard(key) for key in ("due",)),
                "rows to be written": valkey.llen("log:rows") + valkey.scard("log:segments"),
                "answers to be corrected": valkey.llen("log:told"),
            }
        return [f"{count} {what}" for what, count in counts.items() if count]

    @staticmethod
    def wait_until(look: Callable[[], list[str]], seconds: float) -> tuple[float | None, list[str]]:
        """Seconds until a look finds nothing, or None after so many, and what was found last."""
        started = time.monotonic()
        last: list[str] = []
        while problems := look():
            last = problems
            if time.monotonic() - started > seconds:
                return None, problems
            time.sleep(0.2)
        return time.monotonic() - started, last

    def rows(self, prefix: str, since: float) -> list[records.Row]:
        """The rows of a load."""
        where = "accepted_at > to_timestamp(%s) AND ack_id LIKE %s"
        return [records.row(found) for found in self.stage.rows(where, since, f"{prefix}-%")]


class Journal:
    """Reads what the providers get, as long as it is open: the sandbox itself keeps the latest alone."""

    CHUNK: Final = 5_000
    INTERVAL: Final = 0.5

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self.found: list[records.OnWire] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(self.INTERVAL):
            with suppress(OSError, AssertionError):  # it is asked again
                self._read()

    def _read(self) -> int:
        query = f"/api/requests?since={self._scene.since}&most={self.CHUNK}"
        entries: list[dict[str, Any]] = self._scene.stage.sandbox.call("GET", query)["requests"]
        self.found += [seen for entry in entries if (seen := records.on_wire(entry)) is not None]
        if entries:
            self._scene.since = int(entries[-1]["number"])
        return len(entries)

    def close(self) -> list[records.OnWire]:
        """Read to the end; returns all."""
        self._stopping.set()
        self._thread.join(60)
        while self._read():
            pass
        return self.found


def _runs(pid: int, word: bytes) -> bool:
    with suppress(OSError):  # it has just ended
        return word in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


@contextmanager
def running_scene(folder: Path, seed: int, *, small_disks: bool = True, **settings: str) -> Iterator[Scene]:
    """A scene whose stores have small disks of their own where we may mount them; settings are environment variables.

    `small_disks`: without them half an hour of pushes has room for its log.
    """
    home = Path(tempfile.mkdtemp(prefix="hpns-faults-"))
    home.chmod(0o755)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        cluster.begin()
        stack.callback(cluster.end)
        sandbox = stack.enter_context(running_sandbox(folder / "sandbox", "--keep", "50000"))
        bent = home / "service" / "bent"
        bent.mkdir(parents=True)
        for name, word in (("clock", "0"), ("names", "")):
            (bent / name).write_text(word)
        (bent / "sitecustomize.py").write_text(BENT.format(clock=str(bent / "clock"), names=str(bent / "names")))
        stage = Stage(home / "service", sandbox, settings)
        stage.postgres = Postgres(stage.folder, cluster.PASSWORD)  # durable: what it has committed survives its death
        stage.env["PYTHONPATH"] = f"{bent}{os.pathsep}{stage.env['PYTHONPATH']}"
        stack.callback(stage.close)
        cluster.copy_into(stage.folder, stage.env)
        names = DISK_MIB if small_disks else ()
        disks = {name: disk for name in names if (disk := _disk(stack, stage, name))}
        stage.start_postgres()
        stage.start_valkey()
        seeded = json.loads(stage.run("-c", SEED, str(folder / "sandbox" / "demo")))
        more = json.loads(stage.run("-c", MORE, str(folder / "sandbox" / "demo")))
        stage.key = seeded["key"]
        customers = [Customer("Acme", stage.key), *(Customer(name, key) for name, key in more.items())]
        scene = Scene(stage, customers, random.Random(seed), disks)  # noqa: S311 - replayed by its seed
        stack.callback(lambda: [each.close() for each in scene.standbys])
        scene.ensure()
        wait_for(stage.ready, PATIENCE, "the service is ready")
        yield scene


def _disk(stack: ExitStack, stage: Stage, name: str) -> Path | None:
    """Give a store a disk of its own, with what it has already; None where we may not mount."""
    where = stage.folder.servers / name
    where.mkdir(mode=0o700, exist_ok=True)
    before = where.with_name(f"{name}.before")
    where.rename(before)
    where.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB[name]}m", "tmpfs", str(where)]
    mounted = subprocess.run(mount, check=False, capture_output=True).returncode == 0
    if mounted:
        stack.callback(subprocess.run, ["umount", "--lazy", str(where)], check=False)
    subprocess.run(["cp", "-a", f"{before}/.", str(where)], check=True)
    shutil.rmtree(before)
    return where if mounted else None


def finished(scene: Scene, load: Load, journal: Journal, recovered: float | None) -> Record:
    """The record of a load that has ended."""
    since = min((push.at for push in load.told.values()), default=time.time()) - 60
    rows: list[records.Row] = []
    with suppress(psycopg.Error):
        rows = scene.rows(load.name, since)
    return Record(load.told, journal.close(), rows, recovered)
