"""One window: load for some seconds, and what it cost by the clocks of the kernel.

Invariant: a window whose two counts of pushes disagree, or in which a process was replaced, is void and says why.
"""

import json
import os
import secrets
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

from delivery.protocol.mattermost_id import ALPHABET
from hpns.local.problem import ProblemError
from hpns.local.process import bound_to_parent
from tests.bench import processes
from tests.bench.cases import IDLE, Case
from tests.bench.provider import Provider

ROOT = Path(__file__).resolve().parent.parent.parent
# Seconds behind the load in which rows reach the log; they belong to the window's pushes.
SETTLE = 1.5
TOLERANCE = 0.01
# Pushes that may always be missing or too many: a token that was fetched counts as one with the provider.
FEW = 2
# Seconds behind its own end that a load may take before it is killed.
PATIENCE = 20
# Connections that the open loop keeps unused, and what a Mattermost server keeps; devices that one post goes to.
OPEN_IDLE, SERVER_IDLE, SERVER_BURST = 256, 2, 3


class Under(Protocol):
    """A service under test."""

    name: str
    port: int
    tls_port: int
    prefix: str

    def roots(self, *, tls: bool = False) -> dict[str, list[int]]:
        """The process ids of each group of processes. tls: of those that a push over TLS passes."""


class Window(msgspec.Struct):
    """What was measured. cpu and load_cpu in seconds; answered by the load's count, provided by the provider's (both 0
    of an idle window).

    rss, pss: bytes at the end, by group. void: "" or why the figures mean nothing. opened: new connections (0: not
    known). late_ms: how late the open loop was at worst with sending a push.
    """

    case: str
    service: str
    seconds: float
    answered: int = 0
    provided: int = 0
    errors: int = 0
    cpu: dict[str, float] = {}
    load_cpu: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    rss: dict[str, int] = {}
    pss: dict[str, int] = {}
    void: str = ""
    opened: int = 0
    late_ms: float = 0.0


def why_void(answered: int, provided: int, in_flight: int, errors: int) -> str:
    """Why these counts make a window void, "" when they do not.

    in_flight: pushes that the load may have sent without waiting for their answers at its end; the provider has them.
    """
    if not answered or not provided:
        return "no push went through"
    least = min(answered * (1 - TOLERANCE), answered - FEW)
    if not least <= provided <= max((answered + in_flight) * (1 + TOLERANCE), answered + in_flight + FEW):
        return f"the provider counted {provided}, the load {answered}"
    if errors > answered * TOLERANCE:
        return f"{errors} of {answered} had no good answer"
    return ""


def measure(
    case: Case,
    service: Under,
    provider: Provider,
    bodies: Path,
    programs: Mapping[str, str],
    seconds: int,
    *,
    as_they_are: bool = False,
) -> Window:
    """Run one window of `seconds` of load. as_they_are: the bodies keep their ack_ids, and are enough for the window.
    Raises ProblemError when the load cannot be run at all."""
    roots = service.roots(tls=case.load == "tls")
    counted = provider.count()
    before = processes.look()
    # Fresh ack_ids: the same for no two windows.
    run = "" if as_they_are else "".join(secrets.choice(ALPHABET) for _ in range(14))
    measured = _load(case, service, provider, bodies / f"{case.provider}.jsonl", programs, seconds, run)
    time.sleep(SETTLE)
    after = processes.look()
    provided = provider.count() - counted
    done = _spent(Window(case=case.name, service=service.name, **measured, provided=provided), roots, before, after)
    done.void = done.void or why_void(done.answered, provided, case.connections, done.errors)
    return done


def idle(services: Sequence[Under], seconds: float) -> list[Window]:
    """What each of the services costs in the same `seconds` in which nobody asks anything of them."""
    roots = [service.roots() for service in services]
    before, since = processes.look(), time.monotonic()
    time.sleep(seconds)
    after, lasted = processes.look(), time.monotonic() - since
    return [
        _spent(Window(case=IDLE, service=service.name, seconds=lasted), groups, before, after)
        for service, groups in zip(services, roots, strict=True)
    ]


def _spent(
    done: Window,
    roots: Mapping[str, Sequence[int]],
    before: Mapping[int, processes.Seen],
    after: Mapping[int, processes.Seen],
) -> Window:
    """The window with what the processes have cost between two looks at them, and what they hold at its end."""
    first, last = (processes.trees(seen, roots) for seen in (before, after))
    sizes = {group: processes.memory(pids) for group, pids in last.items()}
    done.cpu = {group: processes.spent(before, after, first[group], last[group]) for group in roots}
    done.rss = {group: size[0] for group, size in sizes.items()}
    done.pss = {group: size[1] for group, size in sizes.items()}
    if not processes.same(before, after, [pid for group in roots.values() for pid in group]):
        done.void = "a process was started anew"
    return done


def _load(
    case: Case, service: Under, provider: Provider, bodies: Path, programs: Mapping[str, str], seconds: int, run: str
) -> dict[str, Any]:
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
    printed = output(process, seconds + PATIENCE)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    try:
        measured: dict[str, Any] = json.loads(printed.splitlines()[-1])
    except (IndexError, ValueError):
        raise ProblemError(f"{Path(command[0]).name} failed ({process.returncode}): {printed[-500:]}") from None
    measured.setdefault("load_cpu", usage.ru_utime + usage.ru_stime)
    return measured


def output(process: subprocess.Popen[bytes], seconds: float) -> str:
    """All that a process prints until it ends, or is killed after so many seconds."""
    assert process.stdout is not None
    output, limit = b"", time.monotonic() + seconds
    while True:
        if not select.select([process.stdout], [], [], max(0.0, limit - time.monotonic()))[0]:
            process.kill()
            return f"it did not end within {seconds:.0f} s"
        data = os.read(process.stdout.fileno(), 65536)
        if not data:
            return output.decode(errors="replace")
        output += data
