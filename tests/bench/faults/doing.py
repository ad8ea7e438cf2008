"""What the faults do: each begins something as a context, and has ended it when it is left.

What a fault has ended it starts again; what it has changed in a running store it changes back.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from hpns.local.process import descendants
from tests.bench.faults.forwarder import Forwarder
from tests.bench.faults.scene import WORKERS, Scene
from tests.waiting import PATIENCE, wait_for

Begin = Callable[[Scene], AbstractContextManager[None]]


# --- Processes that die, or are asked to stop


def web(number: signal.Signals) -> Begin:
    """One of the web processes gets a signal, and the fault ends when another one serves in its place."""

    @contextmanager
    def begin(scene: Scene) -> Iterator[None]:
        pid = scene.random.choice(scene.web_processes())
        with suppress(ProcessLookupError):
            os.kill(pid, number)
        yield
        # The next one is not to meet the last that is left: that is kill-front's.
        wait_for(lambda: pid not in scene.web_processes(), PATIENCE, "its end")
        scene.wait_for_web()

    return begin


def child(name: str, number: signal.Signals) -> Begin:
    """A process of the stage is killed or asked to stop, and started again."""

    @contextmanager
    def begin(scene: Scene) -> Iterator[None]:
        if number == signal.SIGKILL:
            scene.stage.kill(name)
        else:
            scene.stage.stop(name, PATIENCE)
        yield
        scene.ensure()
        if name == "ingest":
            wait_for(scene.stage.ready, PATIENCE, "the service is ready")
            scene.wait_for_web()

    return begin


@contextmanager
def all_workers(scene: Scene) -> Iterator[None]:
    """All workers are killed, and none is there for a while."""
    for name in WORKERS:
        scene.stage.kill(name)
    yield
    scene.ensure()


def still(names: Callable[[Scene], list[int]]) -> Begin:
    """Processes are held still."""

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


def pids(name: str) -> Callable[[Scene], list[int]]:
    """A process of the stage, and all below it."""
    return lambda scene: [scene.stage.children[name].pid, *descendants(scene.stage.children[name].pid)]


# --- Valkey


@contextmanager
def full_valkey(scene: Scene) -> Iterator[None]:
    """It has no memory left."""
    with scene.stage.redis() as valkey:
        valkey.config_set("maxmemory", "1mb")
    yield
    with scene.stage.redis() as valkey:
        valkey.config_set("maxmemory", "0")


@contextmanager
def read_only(scene: Scene) -> Iterator[None]:
    """A primary that was made a replica of one that is away: it keeps what it has, and takes no writes."""
    with scene.stage.redis() as valkey:
        valkey.config_set("replica-serve-stale-data", "yes")
        valkey.execute_command("REPLICAOF", "127.0.0.1", "1")
    yield
    with scene.stage.redis() as valkey:
        valkey.execute_command("REPLICAOF", "NO", "ONE")


@contextmanager
def slow_valkey(scene: Scene) -> Iterator[None]:
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


def full_disk(name: str) -> Begin:
    """The disk of a store is full; what ended of it is started again."""

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
    file = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (1 << 20, 4096):
            with suppress(OSError):
                while os.write(file, b"\0" * size):
                    pass
    finally:
        os.close(file)


# --- PostgreSQL


@contextmanager
def locked(scene: Scene) -> Iterator[None]:
    """Somebody holds the log and the customers."""
    with psycopg.connect(scene.stage.postgres.url) as session:
        session.execute("LOCK TABLE delivery_delivery, tenants_customer IN ACCESS EXCLUSIVE MODE")
        yield
        session.rollback()


# --- The clock, names


def clock(seconds: float) -> Begin:
    """The clock of all our processes is set, and set back."""

    @contextmanager
    def begin(scene: Scene) -> Iterator[None]:
        scene.bend("clock", repr(seconds))
        try:
            yield
        finally:
            scene.bend("clock", "0")

    return begin


@contextmanager
def silent_names(scene: Scene) -> Iterator[None]:
    """No name is resolved, and connections break, so that names are asked for."""
    scene.bend("names", "silent")
    try:
        scene.stage.sandbox.mode("up")
        yield
    finally:
        scene.bend("names", "")


@contextmanager
def moved(scene: Scene) -> Iterator[None]:
    """The providers' names mean another address, and the old one answers nobody any more; then back."""
    sandbox = scene.stage.sandbox
    with Forwarder("127.0.0.3", sandbox.port) as there:
        scene.bend("names", there.address)
        sandbox.mode("up")
        yield
        scene.bend("names", "")


# --- The providers


def mode(mode: str) -> Begin:
    """The providers are in another mode (delivery/sandbox/listener.py)."""

    @contextmanager
    def begin(scene: Scene) -> Iterator[None]:
        scene.stage.sandbox.mode(mode)
        try:
            yield
        finally:
            scene.stage.sandbox.mode("up")

    return begin


def answers(*answers: dict[str, Any]) -> Begin:
    """The providers answer so, one after the other."""

    @contextmanager
    def begin(scene: Scene) -> Iterator[None]:
        scene.stage.sandbox.script("*", list(answers))
        try:
            yield
        finally:
            scene.stage.sandbox.clear_scripts()

    return begin


def storm(**fault: Any) -> Begin:
    """For every fourth request, again and again."""
    return answers(*([{"status": 200}] * 3 + [fault]) * 2_000)


def asked_to_wait(seconds: int) -> Begin:
    """Every request is answered 503 with Retry-After."""
    headers = {"retry-after": str(seconds)}
    return answers({"status": 503, "json": {"reason": "ServiceUnavailable"}, "headers": headers})


@contextmanager
def slow_stop(scene: Scene) -> Iterator[None]:
    """Each answer takes three seconds, and a worker is asked to stop meanwhile."""
    scene.stage.sandbox.script("*", {"status": 200, "delay": 3.0})
    try:
        yield
        scene.stage.stop("worker", PATIENCE)
        scene.ensure()
    finally:
        scene.stage.sandbox.clear_scripts()


@contextmanager
def fickle(scene: Scene) -> Iterator[None]:
    """A web process is killed while the providers refuse every second request: who takes a push over may hear another
    word than its server was told."""
    refused = {"status": 400, "json": {"reason": "BadTopic"}}
    with answers(*[{"status": 200}, refused] * 4_000)(scene), web(signal.SIGKILL)(scene):
        yield


def while_slow(begin: Begin, seconds: float = 3.0) -> Begin:
    """A fault while the providers take their time for every answer; it begins when all that is under way waits."""

    @contextmanager
    def slowly(scene: Scene) -> Iterator[None]:
        with answers({"status": 200, "delay": seconds})(scene):
            time.sleep(seconds)
            with begin(scene):
                yield

    return slowly
