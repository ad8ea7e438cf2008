"""One window: load for some seconds, and what it cost by the clocks of the kernel.

Invariant: a window whose two counts of pushes disagree, or in which a process was replaced, is void and says why.
"""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from delivery.protocol.mattermost_id import ALPHABET
from hpns.local.problem import ProblemError
from hpns.local.process import bound_to_parent
from tests.bench import processes
from tests.bench.cases import Case
from tests.bench.provider import Provider

ROOT = Path(__file__).resolve().parent.parent.parent
# Seconds behind the load in which rows reach the log; they belong to the window's pushes.
SETTLE = 1.5
TOLERANCE = 0.01
# Connections that the open loop keeps unused, and what a Mattermost server keeps; devices that one post goes to.
OPEN_IDLE, SERVER_IDLE, SERVER_BURST = 256, 2, 3


class Under(Protocol):
    """A service under test."""

    name: str
    port: int
    tls_port: int
    prefix: str

    def roots(self, *, tls: bool = False) -> dict[str, list[int]]:
        """The process ids of each group of processes."""


class Window(msgspec.Struct):
    """What was measured. cpu and load_cpu in seconds; answered by the load's count, provided by the provider's.

    rss, pss: bytes at the end, by group. void: "" or why the figures mean nothing. opened: new connections (0: not
    known). late_ms: how late the open loop was at worst with sending a push.
    """

    case: str
    service: str
    seconds: float
    answered: int
    provided: int
    errors: int
    cpu: dict[str, float]
    load_cpu: float
    p50_ms: float
    p99_ms: float
    rss: dict[str, int]
    pss: dict[str, int]
    void: str = ""
    opened: int = 0
    late_ms: float = 0.0


def why_void(answered: int, provided: int, in_flight: int, errors: int) -> str:
    """Why these counts make a window void, "" when they do not.

    in_flight: pushes that the load may have sent without waiting for their answers at its end; the provider has them.
    """
    if not answered or not provided:
        return "no push went through"
    if not answered * (1 - TOLERANCE) <= provided <= (answered + in_flight) * (1 + TOLERANCE):
        return f"the provider counted {provided}, the load {answered}"
    if errors > answered * TOLERANCE:
        return f"{errors} of {answered} had no good answer"
    return ""


def measure(
    case: Case, service: Under, provider: Provider, bodies: Path, programs: Mapping[str, str], seconds: int
) -> Window:
    """Run one window of `seconds` of load. Raises ProblemError when the load cannot be run at all."""
    roots = service.roots(tls=case.load == "tls")
    everything = [pid for group in roots.values() for pid in group]
    counted = provider.count()
    before = processes.look()
    measured = _load(case, service, provider, bodies / f"{case.provider}.jsonl", programs, seconds)
    time.sleep(SETTLE)
    after = processes.look()
    provided = provider.count() - counted
    sizes = {group: processes.memory(processes.tree(after, pids)) for group, pids in roots.items()}
    void = why_void(measured["answered"], provided, case.connections, measured["errors"])
    if not processes.same(before, after, everything):
        void = "a process was started anew"
    return Window(
        case=case.name,
        service=service.name,
        seconds=measured["seconds"],
        answered=measured["answered"],
        provided=provided,
        errors=measured["errors"],
        cpu={group: processes.seconds(after, pids) - processes.seconds(before, pids) for group, pids in roots.items()},
        load_cpu=measured["cpu"],
        p50_ms=measured["p50_ms"],
        p99_ms=measured["p99_ms"],
        rss={group: size[0] for group, size in sizes.items()},
        pss={group: size[1] for group, size in sizes.items()},
        void=void,
        opened=measured.get("opened", 0),
        late_ms=measured.get("late_ms", 0.0),
    )


def _load(
    case: Case, service: Under, provider: Provider, bodies: Path, programs: Mapping[str, str], seconds: int
) -> dict[str, Any]:
    run = "".join(secrets.choice(ALPHABET) for _ in range(14))  # fresh ack_ids: the same for no two windows
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    if case.load == "wrk":
        env |= {"BODIES": str(bodies), "PREFIX": service.prefix, "RUN": run}
        command = [
            *(programs["wrk"], "--threads", "1", "--connections", str(case.connections), "--duration", f"{seconds}s"),
            *("--timeout", "10s", "--latency", "--script", str(Path(__file__).with_name("load.lua"))),
            f"http://127.0.0.1:{service.port}",
        ]
    else:
        tls = case.load == "tls"
        command = [
            *(sys.executable, "-m", "tests.bench.caller", "--bodies", str(bodies), "--prefix", service.prefix),
            *("--rate", str(case.rate), "--seconds", str(seconds), "--run", run),
            *("--port", str(service.tls_port if tls else service.port)),
            *("--idle", str(SERVER_IDLE if tls else OPEN_IDLE), "--burst", str(SERVER_BURST if tls else 1)),
            *(["--ca", str(provider.ca_file)] if tls else []),
        ]
    process = subprocess.Popen(
        command,
        env=env,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        preexec_fn=bound_to_parent(9),  # type: ignore[arg-type]  # noqa: PLW1509 - no threads here
    )
    output = process.stdout.read().decode() if process.stdout else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    try:
        measured: dict[str, Any] = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        raise ProblemError(f"{command[0]} failed ({process.returncode}): {output[-500:]}") from None
    measured.setdefault("cpu", usage.ru_utime + usage.ru_stime)
    return measured
