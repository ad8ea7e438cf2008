"""What a quiet customer that pays notices of others: its p50 and p99 alone and beside each flood; BENCHMARKS.md.

python -m tests.bench.neighbours                         every flood
python -m tests.bench.neighbours 'login-*' idle          some of them; --list names them all
python -m tests.bench.neighbours --root /tmp/before      the same on another checkout, with this one's packages
"""

import argparse
import contextlib
import sys
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.problem import ProblemError
from tests.bench import bodies, processes, programs
from tests.bench.neighbours import raw_http, report
from tests.bench.neighbours.floods import FAR, FLOODS, Flood
from tests.bench.neighbours.report import Case
from tests.bench.neighbours.scene import Running, Scene, Skip, seen_by
from tests.bench.neighbours.seeding import multiply_rows, seed
from tests.bench.provider import Provider
from tests.bench.service import ROOT, Service

DELAY_MS = 2
READY_SECONDS = 120.0
RECOVERY_SECONDS = 120.0


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.neighbours",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("floods", nargs="*", metavar="FLOOD", help="names or shell patterns (default: all)")
    parser.add_argument("--list", action="store_true", help="print the names of the floods")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout to measure (default: this one)")
    parser.add_argument("--seconds", type=float, default=10, help="of each flood (default: %(default)s)")
    parser.add_argument(
        "--alone", type=float, default=5, help="seconds without others before each flood (default: %(default)s)"
    )
    parser.add_argument("--rate", type=float, default=20, help="the quiet customer's pushes a second")
    parser.add_argument("--web", type=int, default=1, help="web processes (default: %(default)s)")
    parser.add_argument("--state", type=Path, default=ROOT / ".state" / "neighbours", help="folder for everything")
    parser.add_argument("--out", type=Path, help="where the run is saved (default: a new file in the folder)")
    return parser.parse_args(arguments)


def chosen(patterns: list[str]) -> list[Flood]:
    """The floods whose names fit one of the patterns, all without any. Raises LookupError for a pattern of none."""
    for pattern in patterns:
        if not any(fnmatchcase(flood.name, pattern) for flood in FLOODS):
            raise LookupError(f"No flood is called {pattern}. There are: {', '.join(flood.name for flood in FLOODS)}.")
    return [flood for flood in FLOODS if not patterns or any(fnmatchcase(flood.name, each) for each in patterns)]


class Neighbours:
    """One run of the options."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.floods = chosen(options.floods)
        self.folder = Folder(options.state, for_servers())
        self.folder.lock()
        self.run = report.begin(options.root.resolve(), sys.argv[1:])
        self.out: Path = options.out or report.default_path(self.folder.path)

    def go(self) -> None:
        """Measure everything, save after each. Raises ProblemError."""
        found = programs.find()
        pushes = self.folder.path / "bodies"
        pushes.mkdir(exist_ok=True)
        bodies.write(pushes, "apns")
        with contextlib.ExitStack() as stack:
            self.provider = Provider(self.folder, found)
            stack.callback(self.provider.stop)
            self.provider.start()
            self.provider.set_delay(DELAY_MS)
            far_port = self.folder.port("far provider")
            certificates = self.provider.ca_file.parent
            command = [sys.executable, "-m", "tests.bench.neighbours.far_provider", str(far_port), certificates]
            far = Running(command, {}, says_ready=True)
            stack.callback(far.stop)
            far.wait_until_ready(READY_SECONDS)
            more = {"APNS_SANDBOX_ORIGIN": f"https://127.0.0.1:{far_port}", "TEST_SERVICE": "true"}
            service = Service(self.folder, self.provider, self.options.root.resolve(), more, web=self.options.web)
            stack.callback(service.stop)
            print_now(f"Starting the service of {service.root} on fresh data.")
            service.start()
            cast = seed(service, self.folder.path / "credentials")
            seconds = self.options.seconds
            files = self.folder.path / "requests"
            self.scene = Scene(files, service, cast, found["wrk"], self.provider.ca_file, seconds)
            self._warm_up()
            for flood in self.floods:
                self._measure(flood)

    def _warm_up(self) -> None:
        """Push until news of the cast is everywhere, and for some seconds more; give the neighbour its rows."""
        limit = time.monotonic() + 60
        while self.scene.seen(seconds=1.0).words.keys() != {"OK"}:
            if time.monotonic() > limit:
                raise ProblemError("No push of the quiet customer's is answered OK.")
        self.scene.seen(seconds=3.0)
        self.scene.seen(seconds=1.0, prefix=f"/t/{self.scene.cast.neighbour.key}")
        time.sleep(3)
        print_now(f"{multiply_rows(self.scene.service, self.scene.cast.neighbour.pk):,} rows for the neighbour.")

    def _measure(self, flood: Flood) -> None:
        order: dict[str, Any] = {"rate": self.options.rate}
        if flood.door == "tls":
            port = self.scene.service.tls_port
            order.update({"port": port, "page_port": port, "ca_file": self.scene.ca_file})
        elif flood.door == "far":
            order["platform"] = FAR
        case = Case(flood.name, flood.what, flood.door, self.scene.seen(seconds=self.options.alone, **order))
        case.load_before = Path("/proc/loadavg").read_text().split()[0]
        self.run.cases.append(case)
        running: list[Running] = []
        provided, rows = self.provider.count(), self._rows()
        quiet = self.scene.quiet(**order)
        try:
            if not quiet.wait_until_ready(READY_SECONDS):
                case.remarks.append("the quiet customer had no connection before")
            running = flood.begin(self.scene)
            ready = [one.wait_until_ready(READY_SECONDS) for one in running]
            if not all(ready):
                case.remarks.append("never at full force")
            case.seen = seen_by(quiet)
            case.remarks += [flood.peek(self.scene)] if flood.peek else []
            case.ingest_mib = processes.memory(self.scene.ingest_pids())[0] >> 20
        except Skip as why:
            case.skipped = str(why)
        finally:
            quiet.stop()
            case.load = [one.stop() for one in running]
        case.recovered_s = self._recover()
        time.sleep(2)
        case.provided, case.rows = self.provider.count() - provided, self._rows() - rows
        report.save(self.run, self.out)
        print_now(report.line(case, self.run))

    def _recover(self) -> float:
        """Seconds until a push and a page are answered again as they should be; RECOVERY_SECONDS if they are not."""
        began = time.monotonic()
        port, key = self.scene.service.port, self.scene.cast.quiet.key
        requests = (self.scene.push(key), self.scene.page("/account/login/"))
        while (waited := time.monotonic() - began) < RECOVERY_SECONDS:
            words = [raw_http.asked(port, request, 2.0) for request in requests]
            if words == ["OK", "200"]:
                return waited
            time.sleep(0.25)
        return RECOVERY_SECONDS

    def _rows(self) -> int:
        return self.scene.service.rows()


def print_now(line: str) -> None:
    """One line to the person at the terminal."""
    print(line, flush=True)


def work(options: argparse.Namespace) -> None:
    """Do what the command line asks for."""
    if options.list:
        print_now("\n".join(f"{flood.name:<16} {flood.what}" for flood in FLOODS))
        return
    neighbours = Neighbours(options)
    neighbours.go()
    print_now(f"\n{report.about(neighbours.run)}\n\n{report.table(neighbours.run)}\n\nSaved as {neighbours.out}")


def main() -> int:
    """The command; its exit code."""
    options = parse()
    return programs.exit_code(lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
