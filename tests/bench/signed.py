"""What proving servers by their pushes costs the whole service: `python -m tests.bench.signed`, about eight minutes.

Alternating windows on one service: pushes whose signature is true, so that it is verified beside the path, and the same
pushes without any. Processor time a push of all processes, as bin/bench measures it; the mark is 1.03. The signed ones
are 240 bytes longer, and decoding these is in the figure. Before the first window the server is proven: the service
learns its key of two pushes, a minute apart.
"""

import argparse
import contextlib
import json
import random
import sys
import time
from pathlib import Path
from typing import Any, Final

import psycopg

from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.mattermost_site import Installation, made_id
from hpns.local.problem import ProblemError
from tests.bench import bodies, cases, figures, programs, window
from tests.bench.provider import Provider
from tests.bench.service import ROOT, Service

MARK: Final = 1.03
CASES: Final = ("apns-1", "apns-64", "apns-open-200-100ms")
# Pushes a second that are written for a closed loop's first window: each goes out once, for its signature is of its
# ack_id, and one that comes again is answered from memory. For later windows so many times the quickest one's.
MOST_A_SECOND: Final = 14_000
SPARE: Final = 1.5
SIGNED, UNSIGNED = "signed", "unsigned"
# Seconds in which two pushes of a server are looked at, one a minute, and written down.
SAMPLED: Final = 130
PROVEN: Final = "SELECT count(*) FROM tenants_proof WHERE proven_at IS NOT NULL"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.signed", description=__doc__.split("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of bin/bench --list (default: {', '.join(CASES)})")
    parser.add_argument("--windows", type=int, default=9, help="windows of each kind (default: %(default)s)")
    parser.add_argument("--seconds", type=int, default=4, help="length of a window (default: %(default)s)")
    parser.add_argument("--warm-up", type=int, default=SAMPLED, help="seconds to be proven in (default: %(default)s)")
    parser.add_argument("--state", type=Path, default=ROOT / ".state" / "bench", help="folder (default: .state/bench)")
    return parser.parse_args(arguments)


def write(path: Path, home: Installation, provider: str, count: int, *, signed: bool) -> None:
    """Write so many pushes of a server, each with an ack_id of its own, one a line."""
    chance = random.Random(provider)  # noqa: S311 - the same phones and texts on every machine
    known = [json.loads(bodies.push(chance, provider)) for _ in range(bodies.COUNT)]
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            file.write(line(home, known[number % len(known)], signed=signed) + "\n")


def line(home: Installation, push: dict[str, Any], *, signed: bool) -> str:
    """A push of a server with a fresh ack_id."""
    fresh = {**push, "ack_id": made_id()}
    made = home.signed(fresh) if signed else {**fresh, "server_id": home.diagnostic_id, "signature": ""}
    return json.dumps(made, ensure_ascii=False, separators=(",", ":"))


class Measuring:
    """Windows of both kinds on one service."""

    def __init__(self, service: Service, provider: Provider, folder: Path, found: dict[str, str]) -> None:
        self._service, self._provider, self._folder, self._programs = service, provider, folder, found
        self._home = Installation()
        # By case, the pushes a second of its quickest window so far.
        self._quickest: dict[str, float] = {}
        self.windows: list[window.Window] = []

    def one(self, case: cases.Case, seconds: int, *, signed: bool) -> window.Window:
        """One window. Raises ProblemError."""
        quickest = self._quickest.get(case.name, MOST_A_SECOND / SPARE)
        written = int(seconds * (SPARE * quickest if case.load == "wrk" else 2 * case.rate))
        path = self._folder / f"{case.provider}.jsonl"
        write(path, self._home, case.provider, written, signed=signed)
        self._provider.set_delay(case.delay_ms)
        done = window.measure(
            case, self._service, self._provider, self._folder, self._programs, seconds, as_they_are=True
        )
        done.service = SIGNED if signed else UNSIGNED
        if done.answered > written:
            done.void = f"the load sent {done.answered} pushes, and {written} were written: some went out twice"
        self._quickest[case.name] = max(self._quickest.get(case.name, 0.0), done.answered / seconds)
        return done

    def prove(self, seconds: int) -> int:
        """Push for so long that the server's key is known; how many servers are proven."""
        case = cases.Case("proving", "apns", "open", rate=5)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.one(case, 2, signed=True)
        with psycopg.connect(self._service.settings["DATABASE_URL"]) as connection:
            found = connection.execute(PROVEN).fetchone()
        return int(found[0]) if found else 0

    def alternate(self, case: cases.Case, rounds: int, seconds: int) -> None:
        """Windows of both kinds in turn; whoever came second goes first in the next round."""
        for number in range(rounds):
            for signed in (True, False) if number % 2 == 0 else (False, True):
                done = self.one(case, seconds, signed=signed)
                self.windows.append(done)
                said = f"VOID: {done.void}" if done.void else f"{figures.cost(done):.0f} us a push"
                print(f"{case.name:<22} {done.service:<9} {said}", flush=True)


def work(options: argparse.Namespace) -> None:
    """Measure, and print the table. Raises ProblemError, LookupError."""
    chosen = cases.chosen(cases.catalogue(), options.cases or CASES)
    if any(case.load not in ("wrk", "open") for case in chosen):
        raise ProblemError("Only the closed and the open loops can be measured so.")
    found = programs.find()
    folder = Folder(options.state, for_servers())
    folder.lock()
    pushes = folder.path / "signed"
    pushes.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        provider = Provider(folder, found, "")
        stack.callback(provider.stop)
        provider.start()
        service = Service(folder, provider)
        stack.callback(service.stop)
        service.start()
        measuring = Measuring(service, provider, pushes, found)
        print(f"Servers that are proven: {measuring.prove(options.warm_up)}.", flush=True)
        for case in chosen:
            measuring.one(case, 2, signed=True)
            measuring.alternate(case, options.windows, options.seconds)
    print(f"\n{figures.alternated(measuring.windows, SIGNED, UNSIGNED)}\n\nThe mark is {MARK}.")
    for void in figures.voids(measuring.windows):
        print(void)


if __name__ == "__main__":
    asked = parse()
    sys.exit(programs.exit_code(lambda: work(asked)))
