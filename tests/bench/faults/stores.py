"""Faults of the stores that take a second server, or last: PostgreSQL fails over or is away for long, and a replica of
Valkey's lags.

Each notes in the scene what the table has no column for (Scene.notes), and what may not be (Scene.wrong).
"""

import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

from tests import replica
from tests.bench.faults import doing
from tests.bench.faults.doing import Begin
from tests.bench.faults.records import Told
from tests.bench.faults.scene import WEB_PROCESSES, Scene
from tests.standby import Standby
from tests.waiting import PATIENCE, wait_for

# --- PostgreSQL fails over


def failover(*, synchronous: bool = True, hanging: bool = False, read_only: bool = False) -> Begin:
    """A standby takes over under the primary's address, when the fault has been held.

    synchronous: the primary waits for it with each commit; else it had been away for three seconds when that died.
    hanging: open sessions say nothing any more, else they break. read_only: the address leads to the standby before it
    is promoted.
    """

    @contextmanager
    def begin(scene: Scene) -> Iterator[None]:
        standby = Standby(scene.stage, f"standby{len(scene.standbys) + 1}")
        scene.standbys.append(standby)
        scene.disks.pop("postgres", None)  # that is the old one's
        if synchronous:
            standby.make_synchronous()
        else:
            scene.stage.stop(standby.name, PATIENCE)
        time.sleep(3)  # pushes go on
        standby.lose_primary(hanging=hanging)
        if not synchronous:
            standby.start()
        if read_only:
            standby.lead_here()
        yield
        standby.promote()
        if not read_only:
            standby.lead_here()

    return begin


# --- PostgreSQL is away for long


class Outage(NamedTuple):
    """What was seen while PostgreSQL was away: the rows that waited and their bytes in Valkey's memory, at the end; who
    dialled in each second; seconds until processes that were started meanwhile served."""

    rows: int
    bytes: int
    dials: Sequence[int]
    processes: int
    started: Mapping[str, float]


ROW_MOST: Final = 1_000
"""Bytes that a row may take while it waits."""
STARTED_MOST: Final = 60.0
"""Seconds until a new process serves, of the copy that is kept in Valkey, on a machine that is busy."""
STORM: Final = 3
"""Dials of each process in one second, and half of that in the mean, that are no storm."""


def wrong(seen: Outage) -> list[str]:
    """What may not be in an outage, a sentence each."""
    found = []
    if seen.rows and seen.bytes / seen.rows > ROW_MOST:
        found.append(f"each waiting row takes {seen.bytes / seen.rows:.0f} bytes of Valkey's memory")
    if seen.dials and max(seen.dials) > STORM * seen.processes:
        found.append(f"PostgreSQL was dialled {max(seen.dials)} times in a second by {seen.processes} processes")
    if seen.dials and sum(seen.dials) / len(seen.dials) > STORM * seen.processes / 2:
        found.append(f"PostgreSQL was dialled {sum(seen.dials) / len(seen.dials):.1f} times a second in the mean")
    found += [f"{name} served after {took:.0f} s" for name, took in seen.started.items() if took > STARTED_MOST]
    return found


def words(seen: Outage) -> str:
    """The same in a line."""
    each = f", {seen.bytes / seen.rows:.0f} bytes each" if seen.rows else ""
    dials = f"{sum(seen.dials) / len(seen.dials):.1f}, {max(seen.dials)} at most" if seen.dials else "not counted"
    started = ", ".join(f"{name} {took:.1f} s" for name, took in seen.started.items())
    return (
        f"{seen.rows} rows waited{each}; dials a second of {seen.processes} processes: {dials}; new processes served "
        f"without it: {started or 'none'}"
    )


class Starting:
    """Listens where PostgreSQL did, says to everybody that it is starting up, and counts who comes in each second."""

    _SAYS: Final = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"

    def __init__(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self._listener.settimeout(0.2)
        self._stopping = threading.Event()
        self._began, self._came = time.monotonic(), Counter[int]()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.is_set():
            with suppress(OSError):
                peer, _ = self._listener.accept()
                self._came[int(time.monotonic() - self._began)] += 1
                with peer:
                    peer.settimeout(1)
                    if peer.recv(1_000)[4:8] == (80877103).to_bytes(4):  # asks for TLS first
                        peer.sendall(b"N")
                        peer.recv(1_000)
                    peer.sendall(b"E" + (len(self._SAYS) + 4).to_bytes(4) + self._SAYS)

    def close(self) -> list[int]:
        """Stop; how many came in each whole second."""
        self._stopping.set()
        self._thread.join(10)
        self._listener.close()
        return [self._came[second] for second in range(int(time.monotonic() - self._began))]


@contextmanager
def away(scene: Scene) -> Iterator[None]:
    """PostgreSQL is away: refused at first, then starting up; meanwhile a web process and a worker begin anew."""
    port = int(scene.stage.postgres.url.rpartition(":")[2].partition("/")[0])
    scene.stage.stop("postgres", PATIENCE)
    started = {"a web process": _replaced_web(scene), "a worker": _replaced_worker(scene)}
    answering = Starting(port)
    try:
        yield
    finally:
        dials = answering.close()
    with scene.stage.redis() as valkey:
        keys = [b"log:rows", *(b"log:rows:" + name for name in valkey.smembers("log:segments"))]
        rows = sum(int(valkey.llen(key)) for key in keys)
        size = sum(int(valkey.memory_usage(key, samples=0) or 0) for key in keys)
    seen = Outage(rows, size, dials, WEB_PROCESSES + len(scene.stage.children), started)
    scene.notes.append(words(seen))
    scene.wrong += wrong(seen)
    scene.stage.start_postgres()


def _replaced_web(scene: Scene) -> float:
    began = time.monotonic()
    with doing.web(signal.SIGTERM)(scene):
        pass
    return time.monotonic() - began


def _replaced_worker(scene: Scene) -> float:
    stage = scene.stage
    stage.stop("worker2", PATIENCE)
    began = time.monotonic()
    stage.start_worker("worker2")
    pid = str(stage.children["worker2"].pid)
    with stage.redis() as valkey:

        def leads() -> bool:
            names = {name.decode().split(":")[1] for name in valkey.zrange("workers", 0, -1)}
            return pid in names and not any(pid in name.decode() for name in valkey.hkeys("workers:failing"))

        wait_for(leads, PATIENCE, "the new worker takes pushes")
    return time.monotonic() - began


# --- A replica of Valkey's lags


@contextmanager
def lagging(scene: Scene) -> Iterator[None]:
    """A replica of Valkey follows, and is held still, while the providers ask everybody to wait: what is told OK then
    would be OK because it is queued, and a failover would lose it."""
    with replica.following(scene.stage), doing.asked_to_wait(2)(scene):
        with doing.still(doing.pids(replica.NAME))(scene):
            began = time.time()
            yield
            ended = time.time()
        time.sleep(DEADLINE)
    scene.checks.append(lambda record: lagged(record.told.values(), began + NOTICED, ended - DEADLINE))


DEADLINE: Final = 5.0
"""Seconds within which a push has its answer (PUSH_DEADLINE)."""
NOTICED: Final = 1.0
"""Seconds after which nothing is on the replica any more that came when it was held still."""


def lagged(told: Iterable[Told], since: float, until: float) -> list[str]:
    """What may not be while a replica lags: pushes of that time that were told OK at the deadline."""
    pushes = [push for push in told if since < push.at < until and push.seconds > DEADLINE - 0.5]
    queued = [push.ack_id for push in pushes if push.status == "OK"]
    if queued:
        return [f"{len(queued)} told OK because they were queued, and on no replica ({', '.join(queued[:2])})"]
    return [] if pushes else ["no push met its deadline while the replica lagged: this shows nothing"]
