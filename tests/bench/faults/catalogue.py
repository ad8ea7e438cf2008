"""The faults: what each does to a running scene, for how long, and what it cannot help.

Each is a context: it begins the fault, and has ended it when it is left. What a fault cannot help is named in `may`, by
the members of judge.BREACHES; everything else holds through all of them.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg
import redis

from hpns.local.process import descendants
from tests.bench.faults.forwarder import Forwarder
from tests.bench.faults.scene import WEB_PROCESSES, Scene
from tests.faults.pushes import iphone
from tests.waiting import PATIENCE, wait_for

Begin = Callable[[Scene], AbstractContextManager[None]]
# Whose process was killed has no answer; and while nobody listens, nobody is refused.
WEB_GONE: Final = frozenset({"no_answer", "unreached"})
# What is turned away while Valkey is away waits in memory, within a bound.
QUEUE_GONE: Final = frozenset({"unlogged"})
# The provider's fault ends what was queued before it, too, and an honest row says so.
PROVIDER_GONE: Final = frozenset({"ok_otherwise"})


class Fault(NamedTuple):
    """One fault. hold: seconds that it is held, from and to, where it is drawn; times: how often a scenario meets it;
    shaken: whether the randomised run draws it."""

    name: str
    what: str
    begin: Begin
    hold: tuple[float, float] = (0.5, 3.0)
    times: int = 3
    may: frozenset[str] = frozenset()
    shaken: bool = True


# --- Processes that die, or are asked to stop


def _web(number: signal.Signals) -> Begin:
    @contextmanager
    def begin(scene: Scene) -> Iterator[None]:
        with suppress(ProcessLookupError):
            os.kill(scene.random.choice(scene.web_processes()), number)
        yield
        wait_for(lambda: len(scene.web_processes()) >= WEB_PROCESSES, PATIENCE, "a new web process")

    return begin


def _child(name: str, number: signal.Signals, start: Callable[[Scene], None]) -> Begin:
    @contextmanager
    def begin(scene: Scene) -> Iterator[None]:
        if number == signal.SIGKILL:
            scene.stage.kill(name)
        else:
            scene.stage.stop(name, PATIENCE)
        yield
        start(scene)

    return begin


def _worker(number: signal.Signals) -> Begin:
    return _child("worker", number, lambda scene: scene.stage.start_worker("worker"))


def _all_workers(scene: Scene) -> AbstractContextManager[None]:
    @contextmanager
    def begin() -> Iterator[None]:
        for name in ("worker", "worker2"):
            scene.stage.kill(name)
        yield
        scene.ensure()

    return begin()


def _still(names: Callable[[Scene], list[int]]) -> Begin:
    @contextmanager
    def begin(scene: Scene) -> Iterator[None]:
        pids = names(scene)
        _signal(pids, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(pids, signal.SIGCONT)

    return begin


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _pids(name: str) -> Callable[[Scene], list[int]]:
    return lambda scene: [scene.stage.children[name].pid, *descendants(scene.stage.children[name].pid)]


# --- Valkey


@contextmanager
def _configured(scene: Scene, name: str, value: str) -> Iterator[None]:
    with scene.stage.redis() as valkey:
        before = valkey.config_get(name)[name]
        valkey.config_set(name, value)
    yield
    with scene.stage.redis() as valkey:
        valkey.config_set(name, before)


@contextmanager
def _read_only(scene: Scene) -> Iterator[None]:
    """A primary that was made a replica of one that is away: it keeps what it has, and takes no writes."""
    with scene.stage.redis() as valkey:
        valkey.config_set("replica-serve-stale-data", "yes")
        valkey.execute_command("REPLICAOF", "127.0.0.1", "1")
    yield
    with scene.stage.redis() as valkey:
        valkey.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def _slow_valkey(scene: Scene) -> Iterator[None]:
    """It has the processor for a tenth of the time."""
    script = "kill -STOP {0}; sleep 0.27; kill -CONT {0}; sleep 0.03"
    pid = scene.stage.children["valkey"].pid
    slowing = scene.background(["sh", "-c", f"while {script.format(pid)}; do :; done"])
    try:
        yield
    finally:
        slowing.kill()
        slowing.wait()
        _signal([pid], signal.SIGCONT)


def _full_disk(name: str) -> Begin:
    @contextmanager
    def begin(scene: Scene) -> Iterator[None]:
        disk = scene.disks.get(name)
        if disk is None:
            raise LookupError(f"{name} has no disk of its own: this needs the right to mount one")
        filler = disk / "filler"
        try:
            _fill(filler)
            yield
        finally:
            filler.unlink(missing_ok=True)
        scene.ensure()

    return begin


def _fill(filler: Path) -> None:
    with filler.open("wb") as file, suppress(OSError):
        for size in (1 << 20, 4096):
            with suppress(OSError):
                while file.write(b"\0" * size):
                    file.flush()


# --- PostgreSQL


@contextmanager
def _locked(scene: Scene) -> Iterator[None]:
    with psycopg.connect(scene.stage.postgres.url) as session:
        session.execute("LOCK TABLE delivery_delivery, tenants_customer IN ACCESS EXCLUSIVE MODE")
        yield
        session.rollback()


# --- The timetable, the clock, names


def _clock(seconds: float) -> Begin:
    @contextmanager
    def begin(scene: Scene) -> Iterator[None]:
        scene.bend("clock", repr(seconds))
        try:
            yield
        finally:
            scene.bend("clock", "0")

    return begin


@contextmanager
def _silent_names(scene: Scene) -> Iterator[None]:
    """No name is resolved, and connections break, so that names are asked for."""
    scene.bend("names", "silent")
    try:
        scene.stage.sandbox.mode("up")
        yield
    finally:
        scene.bend("names", "")


@contextmanager
def _moved(scene: Scene) -> Iterator[None]:
    """The providers' names mean another address, and the old one answers nobody any more; then back."""
    sandbox = scene.stage.sandbox
    with Forwarder("127.0.0.3", sandbox.port) as there:
        scene.bend("names", there.address)
        sandbox.mode("up")
        yield
        scene.bend("names", "")


# --- The providers


def _mode(mode: str) -> Begin:
    @contextmanager
    def begin(scene: Scene) -> Iterator[None]:
        scene.stage.sandbox.mode(mode)
        try:
            yield
        finally:
            scene.stage.sandbox.mode("up")

    return begin


def _answers(*answers: dict[str, Any]) -> Begin:
    @contextmanager
    def begin(scene: Scene) -> Iterator[None]:
        scene.stage.sandbox.script("*", list(answers))
        try:
            yield
        finally:
            scene.stage.sandbox.clear_scripts()

    return begin


def _storm(**fault: Any) -> Begin:
    """For every fourth request, again and again."""
    return _answers(*([{"status": 200}] * 3 + [fault]) * 2_000)


FINE: Final = iphone
TERM, KILL = signal.SIGTERM, signal.SIGKILL
FAULTS: Final = (
    Fault("nothing", "nothing happens", lambda _scene: suppress(), shaken=False, times=1),
    Fault("kill-web", "SIGKILL of a web process", _web(KILL), may=WEB_GONE),
    Fault("term-web", "SIGTERM of a web process", _web(TERM), may=WEB_GONE),
    Fault(
        "kill-front",
        "SIGKILL of all web processes and their parent",
        _child("ingest", KILL, lambda scene: scene.stage.start_ingest(WEB_PROCESSES)),
        may=WEB_GONE,
        times=2,
    ),
    Fault(
        "term-front",
        "SIGTERM of all web processes, by their parent",
        _child("ingest", TERM, lambda scene: scene.stage.start_ingest(WEB_PROCESSES)),
        may=frozenset({"unreached"}),
        times=2,
    ),
    Fault("still-web", "SIGSTOP of a web process", _still(lambda scene: scene.web_processes()[:1]), (2.0, 6.0)),
    Fault("kill-worker", "SIGKILL of a worker, which writes the log", _worker(KILL)),
    Fault("term-worker", "SIGTERM of a worker", _worker(TERM)),
    Fault("still-worker", "SIGSTOP of a worker for longer than its lease", _still(_pids("worker")), (8.0, 14.0), 1),
    Fault("kill-workers", "SIGKILL of all workers, and none for a while", _all_workers, (2.0, 12.0), 2),
    Fault("kill-beat", "SIGKILL of the timetable", _child("beat", KILL, lambda scene: scene.stage.start_beat())),
    Fault("term-beat", "SIGTERM of the timetable", _child("beat", TERM, lambda scene: scene.stage.start_beat())),
    Fault(
        "no-beat",
        "no timetable for two minutes",
        _child("beat", KILL, lambda scene: scene.stage.start_beat()),
        (120.0, 120.0),
        1,
        shaken=False,
    ),
    Fault(
        "kill-valkey",
        "SIGKILL of Valkey, and its restart",
        _child("valkey", KILL, lambda scene: scene.stage.start_valkey()),
        (0.2, 4.0),
        may=QUEUE_GONE,
    ),
    Fault(
        "term-valkey",
        "SIGTERM of Valkey, and its restart",
        _child("valkey", TERM, lambda scene: scene.stage.start_valkey()),
        (0.2, 4.0),
        may=QUEUE_GONE,
    ),
    Fault("full-valkey", "Valkey has no memory left", lambda s: _configured(s, "maxmemory", "1mb"), (2.0, 8.0), 2),
    Fault("slow-valkey", "Valkey has a tenth of its processor", _slow_valkey, (4.0, 8.0), 2),
    Fault("read-only-valkey", "Valkey takes no writes", _read_only, (2.0, 8.0), 2, shaken=False),
    Fault("silent-valkey", "SIGSTOP of Valkey", _still(_pids("valkey")), (2.0, 10.0), 2, QUEUE_GONE),
    Fault("disk-valkey", "the disk of Valkey is full", _full_disk("valkey"), (3.0, 8.0), 2, QUEUE_GONE, shaken=False),
    Fault(
        "kill-postgres",
        "SIGKILL of PostgreSQL, and its restart",
        _child("postgres", KILL, lambda scene: scene.stage.start_postgres()),
        (1.0, 6.0),
    ),
    Fault(
        "term-postgres",
        "fast stop of PostgreSQL, and its restart",
        _child("postgres", TERM, lambda scene: scene.stage.start_postgres()),
        (1.0, 6.0),
    ),
    Fault(
        "no-postgres",
        "PostgreSQL is away for two minutes",
        _child("postgres", TERM, lambda scene: scene.stage.start_postgres()),
        (120.0, 120.0),
        1,
        shaken=False,
    ),
    Fault("locked-postgres", "tables of PostgreSQL are locked", _locked, (3.0, 12.0), 2),
    Fault("silent-postgres", "SIGSTOP of PostgreSQL", _still(_pids("postgres")), (3.0, 12.0), 2),
    Fault("disk-postgres", "the disk of PostgreSQL is full", _full_disk("postgres"), (4.0, 10.0), 2, shaken=False),
    Fault("clock-ahead", "the clock of all our processes is set hours ahead", _clock(5 * 3600.0), (3.0, 8.0), 2),
    Fault("clock-behind", "the clock of all our processes is set hours back", _clock(-5 * 3600.0), (3.0, 8.0), 2),
    Fault("clock-week", "the clock of all our processes is set a week ahead", _clock(7 * 86400.0), (3.0, 8.0), 1),
    Fault("goaway", "GOAWAY that disowns every fourth request", _storm(goaway=0), (3.0, 8.0), 2),
    Fault("rst-refused", "RST_STREAM of every fourth request: refused", _storm(reset=7), (3.0, 8.0), 2),
    Fault("rst", "RST_STREAM of every fourth request: internal error", _storm(reset=2), (3.0, 8.0), 2, PROVIDER_GONE),
    Fault("closing", "every fourth request closes its connection", _storm(close=True), (3.0, 8.0), 2, PROVIDER_GONE),
    Fault(
        "unavailable",
        "every fourth request is answered 503",
        _storm(status=503, json={"reason": "ServiceUnavailable"}),
        (3.0, 8.0),
        2,
        PROVIDER_GONE,
    ),
    Fault("provider-down", "the providers refuse connections", _mode("down"), (1.0, 5.0), 2, PROVIDER_GONE),
    Fault("provider-silent", "the providers take connections and are silent", _mode("silent"), (1.0, 5.0), 2, PROVIDER_GONE),
    Fault("stranger", "the providers show a certificate of nobody's", _mode("wrong_certificate"), (1.0, 5.0), 2, PROVIDER_GONE),
    Fault("new-certificate", "the providers renew their certificate", lambda s: s.renewed_certificate(), (1.0, 3.0), 2),
    Fault("silent-names", "no name of a provider is resolved", _silent_names, (2.0, 6.0), 2, PROVIDER_GONE),
    Fault("moved", "the providers move to another address, and back", _moved, (2.0, 6.0), 2),
)


def chosen(patterns: list[str]) -> list[Fault]:
    """The faults whose names fit one of the patterns, all without any. Raises LookupError for a pattern of none."""
    for pattern in patterns:
        if not any(fnmatchcase(fault.name, pattern) for fault in FAULTS):
            raise LookupError(f"No fault is called {pattern}. There are: {', '.join(fault.name for fault in FAULTS)}.")
    return [fault for fault in FAULTS if not patterns or any(fnmatchcase(fault.name, each) for each in patterns)]
