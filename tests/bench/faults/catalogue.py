"""The faults: what each is called, does to a running scene and cannot help, and for how long it is held.

What a fault cannot help is named in `may`, by the members of judge.BREACHES; everything else holds through all of them.
"""

import signal
from contextlib import nullcontext
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from tests.bench.faults import around, doing, stores
from tests.bench.faults.doing import Begin
from tests.bench.faults.scene import Scene

# Whose process was killed has no answer; while nobody listens nobody is refused, and who is not accepted yet waits.
WEB_GONE: Final = frozenset({"no_answer", "unreached", "longest"})
# What is turned away while Valkey is away waits in memory, within a bound.
QUEUE_GONE: Final = frozenset({"unlogged"})
# What was told OK because it was queued may be answered by nobody then, twice: an honest row says so.
UNANSWERED: Final = frozenset({"ok_otherwise"})
# What PostgreSQL had committed and its standby had not got: the rows of that time.
FORGOTTEN: Final = frozenset({"rows_missing", "unlogged"})


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


TERM, KILL = signal.SIGTERM, signal.SIGKILL
FAULTS: Final = (
    Fault("nothing", "nothing happens", lambda _scene: nullcontext(), shaken=False, times=1),
    Fault("kill-web", "SIGKILL of a web process", doing.web(KILL), may=WEB_GONE),
    Fault(
        "kill-fickle",
        "SIGKILL of a web process while providers refuse every second request",
        doing.fickle,
        times=4,
        may=WEB_GONE | {"told_otherwise"},
        shaken=False,
    ),
    Fault("term-web", "SIGTERM of a web process", doing.web(TERM), may=frozenset({"longest"})),
    Fault(
        "kill-front",
        "SIGKILL of all web processes and their parent",
        doing.child("ingest", KILL),
        may=WEB_GONE,
        times=2,
    ),
    Fault(
        "term-front",
        "SIGTERM of all web processes, by their parent",
        doing.child("ingest", TERM),
        may=frozenset({"unreached", "longest"}),
        times=2,
    ),
    Fault(
        "still-web",
        "SIGSTOP of a web process",
        doing.still(lambda scene: scene.web_processes()[:1]),
        (2.0, 6.0),
        3,
        WEB_GONE,
    ),
    Fault(
        "kill-parent", "SIGKILL of the parent of the web processes alone", around.parent, (0.5, 3.0), 2, may=WEB_GONE
    ),
    Fault(
        "taken-away",
        "batches in flight are deleted by hand",
        around.taken_away,
        (0.5, 1.0),
        1,
        # A push is answered before it is settled: its row is among those of what was lost, which know no ack_id.
        WEB_GONE | {"lost", "rows_missing"},
        shaken=False,
    ),
    Fault("renew-front", "SIGHUP of the parent: all web processes are replaced", around.renewed, times=2),
    Fault("kill-pages", "SIGKILL of the process that makes pages", around.pages(KILL), times=2),
    Fault("term-pages", "SIGTERM of the process that makes pages", around.pages(TERM), times=2),
    Fault("kill-worker", "SIGKILL of a worker, which writes the log", doing.child("worker", KILL)),
    Fault("term-worker", "SIGTERM of a worker", doing.child("worker", TERM)),
    Fault(
        "still-worker",
        "SIGSTOP of a worker beyond its lease",
        doing.still(doing.pids("worker")),
        (8.0, 14.0),
        1,
    ),
    Fault("kill-workers", "SIGKILL of all workers, and none for a while", doing.all_workers, (2.0, 12.0), 2),
    Fault(
        "term-slow-worker",
        "SIGTERM of a worker while providers take 3 s",
        doing.while_slow(doing.child("worker", TERM)),
        times=2,
    ),
    Fault(
        "kill-slow-worker",
        "SIGKILL of a worker while providers take 3 s",
        doing.while_slow(doing.child("worker", KILL)),
        times=2,
    ),
    Fault(
        "kill-slow-web",
        "SIGKILL of a web process while providers take 3 s",
        doing.while_slow(doing.web(KILL)),
        times=2,
        may=WEB_GONE,
    ),
    Fault(
        "term-slow-front",
        "SIGTERM of all web processes while providers take 3 s",
        doing.while_slow(doing.child("ingest", TERM)),
        times=2,
        may=frozenset({"unreached", "longest"}),
    ),
    Fault("kill-beat", "SIGKILL of the timetable", doing.child("beat", KILL)),
    Fault("term-beat", "SIGTERM of the timetable", doing.child("beat", TERM)),
    Fault(
        "no-beat",
        "no timetable for two minutes",
        doing.child("beat", KILL),
        (120.0, 120.0),
        1,
        shaken=False,
    ),
    Fault(
        "kill-valkey",
        "SIGKILL of Valkey, and its restart",
        doing.child("valkey", KILL),
        (0.2, 4.0),
        may=QUEUE_GONE,
    ),
    Fault(
        "term-valkey",
        "SIGTERM of Valkey, and its restart",
        doing.child("valkey", TERM),
        (0.2, 4.0),
        may=QUEUE_GONE,
    ),
    Fault("full-valkey", "Valkey has no memory left", doing.full_valkey, (2.0, 8.0), 2),
    Fault("slow-valkey", "Valkey has a tenth of its processor", doing.slow_valkey, (4.0, 8.0), 2),
    Fault("read-only-valkey", "Valkey takes no writes", doing.read_only, (2.0, 8.0), 2, shaken=False),
    Fault("silent-valkey", "SIGSTOP of Valkey", doing.still(doing.pids("valkey")), (2.0, 10.0), 2, QUEUE_GONE),
    Fault(
        "disk-valkey", "the disk of Valkey is full", doing.full_disk("valkey"), (3.0, 8.0), 2, QUEUE_GONE, shaken=False
    ),
    Fault(
        "kill-postgres",
        "SIGKILL of PostgreSQL, and its restart",
        doing.child("postgres", KILL),
        (1.0, 6.0),
    ),
    Fault(
        "term-postgres",
        "fast stop of PostgreSQL, and its restart",
        doing.child("postgres", TERM),
        (1.0, 6.0),
    ),
    Fault(
        "no-postgres",
        "PostgreSQL is away for ten minutes, and processes begin anew",
        stores.away,
        (600.0, 600.0),
        1,
        frozenset({"longest"}),
        shaken=False,
    ),
    Fault("locked-postgres", "tables of PostgreSQL are locked", doing.locked, (3.0, 12.0), 2),
    Fault("silent-postgres", "SIGSTOP of PostgreSQL", doing.still(doing.pids("postgres")), (3.0, 12.0), 2),
    Fault("disk-postgres", "the disk of PostgreSQL is full", doing.full_disk("postgres"), (4.0, 10.0), 2, shaken=False),
    Fault("failover", "PostgreSQL fails over to a synchronous standby", stores.failover(), (2.0, 8.0), 1, shaken=False),
    Fault(
        "failover-silent",
        "the same, and open connections hang",
        stores.failover(hanging=True),
        (2.0, 8.0),
        1,
        shaken=False,
    ),
    Fault(
        "failover-standby",
        "the same, and it takes no writes yet",
        stores.failover(read_only=True),
        (8.0, 12.0),
        1,
        shaken=False,
    ),
    Fault(
        "failover-behind",
        "PostgreSQL fails over to a standby that was 3 s behind",
        stores.failover(synchronous=False),
        (2.0, 8.0),
        1,
        FORGOTTEN,
        shaken=False,
    ),
    Fault(
        "lagging-replica",
        "a replica of Valkey lags, while providers ask to wait",
        stores.lagging,
        (12.0, 12.0),
        1,
        shaken=False,
    ),
    Fault("clock-ahead", "the clock of all our processes is set hours ahead", doing.clock(5 * 3600.0), (3.0, 8.0), 2),
    Fault("clock-behind", "the clock of all our processes is set hours back", doing.clock(-5 * 3600.0), (3.0, 8.0), 2),
    Fault("clock-week", "the clock of all our processes is set a week ahead", doing.clock(7 * 86400.0), (3.0, 8.0), 1),
    Fault("goaway", "GOAWAY that disowns every fourth request", doing.storm(goaway=0), (3.0, 8.0), 2),
    Fault("rst-refused", "RST_STREAM of every fourth request: refused", doing.storm(reset=7), (3.0, 8.0), 2),
    Fault("rst", "RST_STREAM of every fourth request: internal error", doing.storm(reset=2), (3.0, 8.0), 2, UNANSWERED),
    Fault("closing", "every fourth request closes its connection", doing.storm(close=True), (3.0, 8.0), 2, UNANSWERED),
    Fault(
        "unavailable",
        "every fourth request is answered 503",
        doing.storm(status=503, json={"reason": "ServiceUnavailable"}),
        (3.0, 8.0),
        2,
    ),
    Fault("provider-down", "the providers refuse connections", doing.mode("down"), (1.0, 5.0), 2),
    Fault("provider-silent", "the providers are silent", doing.mode("silent"), (1.0, 5.0), 2),
    Fault("stranger", "the providers show a wrong certificate", doing.mode("wrong_certificate"), (1.0, 5.0), 2),
    Fault("new-certificate", "the providers renew their certificate", Scene.renewed_certificate, (1.0, 3.0), 2),
    Fault("silent-names", "no name of a provider is resolved", doing.silent_names, (2.0, 6.0), 2),
    Fault("moved", "the providers move to another address, and back", doing.moved, (2.0, 6.0), 2),
    # What is longer than a push's deadline is tried again out of the due list.
    Fault("asked-to-wait", "503 with Retry-After: 2", doing.asked_to_wait(2), (30.0, 30.0), 1, shaken=False),
    Fault("long-down", "the providers refuse connections", doing.mode("down"), (10.0, 10.0), 1, shaken=False),
    Fault(
        "hanging",
        "every fourth request is never answered",
        doing.storm(hang=True),
        (10.0, 10.0),
        1,
        UNANSWERED,
        shaken=False,
    ),
    Fault("slow-stop", "SIGTERM of a worker while answers take 3 s", doing.slow_stop, (5.0, 5.0), 1, shaken=False),
)


def chosen(patterns: list[str]) -> list[Fault]:
    """The faults whose names fit one of the patterns, all without any. Raises LookupError for a pattern of none."""
    for pattern in patterns:
        if not any(fnmatchcase(fault.name, pattern) for fault in FAULTS):
            raise LookupError(f"No fault is called {pattern}. There are: {', '.join(fault.name for fault in FAULTS)}.")
    return [fault for fault in FAULTS if not patterns or any(fnmatchcase(fault.name, each) for each in patterns)]
