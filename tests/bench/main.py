"""bin/bench: what a push costs on the real processes, in CPU, time and memory; BENCHMARKS.md says how it is measured.

bin/bench                          every case
bin/bench apns-64 'fcm-*'          some of them
bin/bench --compare A.json B.json  two runs of before
bin/bench --markdown A.json        the tables of a run, for BENCHMARKS.md
bin/bench --yardstick --against COMMAND   alternating windows with another service (tests/bench/other.py)
bin/bench --marks --against COMMAND busy  the closed loops against their marks, five rounds (tests/bench/marks.py)
bin/bench --marks --against COMMAND quiet   the same with what a service does for most of its life, and idle
bin/bench --marks --markdown A.json B.json  one table of two such runs
bin/bench many                     start, memory and changes with very many customers (tests/bench/many.py)
bin/bench faults                   what becomes of pushes when things die (tests/bench/faults/run.py)
bin/bench growth                   pages, rollups and retention on millions of rows (tests/bench/growth/run.py)
"""

import argparse
import contextlib
import functools
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.problem import ProblemError
from tests.bench import bodies, cases, figures, many, marks, profile, programs, record, window
from tests.bench.faults import run as faults
from tests.bench.growth import run as growth
from tests.bench.other import Other
from tests.bench.provider import Provider
from tests.bench.service import ROOT, Service

# The cases in which a service is held against another.
YARDSTICK = ("apns-64", "apns-256", "fcm-64", "fcm-256")
# Seconds of a window: what sends in turn as fast as it can needs fewer than what sends at a rate.
SECONDS, SECONDS_OF_MARKS = 4, {"wrk": 2, "open": 3, "tls": 3, "idle": 6}
# Seconds after a start in which a service may still be busy with itself.
CALM = 5


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="bin/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help="names or shell patterns (default: all)")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("--seconds", type=int, help="length of a window (default: 4, with --marks 2, 3, idle 6)")
    parser.add_argument("--windows", type=int, help="windows per case (default: 3, with --yardstick or --marks 5)")
    parser.add_argument("--warm-up", type=int, default=2, help="seconds before the first window (default: %(default)s)")
    parser.add_argument("--rate", type=int, action="append", help=f"pushes/s of an open loop (default: {cases.RATES})")
    parser.add_argument("--tls-rate", type=int, default=100, help="pushes/s over TLS (default: %(default)s)")
    parser.add_argument("--state", type=Path, default=ROOT / ".state" / "bench", help="folder (default: .state/bench)")
    parser.add_argument("--out", type=Path, help="where the run is saved (default: a new file in the folder)")
    parser.add_argument(
        "--against", metavar="COMMAND", action="append", help="another service in alternating windows; may be repeated"
    )
    parser.add_argument("--marks", action="store_true", help="the cases that have marks, and whether these are met")
    parser.add_argument("--mark", type=float, default=0.0, help="one highest ratio for every case, with --marks")
    parser.add_argument(
        "--provider-listen", default="", metavar="ADDRESS:443", help="where Apple and Google listen besides, by name"
    )
    parser.add_argument("--yardstick", action="store_true", help=f"only {', '.join(YARDSTICK)}, five windows each")
    parser.add_argument("--profile", action="store_true", help="also sample ingest and worker in each case with py-spy")
    parser.add_argument("--compare", type=Path, nargs=2, metavar=("BEFORE", "AFTER"), help="compare two saved runs")
    parser.add_argument("--markdown", type=Path, nargs="+", metavar="RUN", help="print the tables of saved runs")
    return parser.parse_args(arguments)


def print_now(line: str) -> None:
    """One line to the person at the terminal."""
    print(line, flush=True)


class Bench:
    """One run of the options."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.cases = cases.chosen(cases.catalogue(options.rate or cases.RATES, options.tls_rate), options.cases)
        self.programs = programs.find()
        self.sampler = profile.find() if options.profile else ""
        self.folder = Folder(options.state, for_servers())
        self.folder.lock()
        self.run = record.begin(sys.argv[1:], _versions(self.programs))
        self.out: Path = options.out or record.default_path(self.folder.path)

    def go(self) -> None:
        """Start everything, measure every case, save after each. Raises ProblemError."""
        pushes = self.folder.path / "bodies"
        pushes.mkdir(exist_ok=True)
        for name in cases.PROVIDERS:
            bodies.write(pushes, name)
        with contextlib.ExitStack() as stack:
            provider = Provider(self.folder, self.programs, self.options.provider_listen)
            stack.callback(provider.stop)
            provider.start()
            ours = Service(self.folder, provider)
            stack.callback(ours.stop)
            print_now("Starting the service on fresh data.")
            ours.start()
            before = ours.rows()
            services: list[Service | Other] = [ours]
            for command in self.options.against or ():
                other = Other(command, provider)
                stack.callback(other.stop)
                print_now(f"Starting {command}.")
                other.start()
                if other.name in {service.name for service in services}:
                    raise ProblemError(f"Two services are called {other.name}.")
                services.append(other)
                self.run.others[other.name] = other.commit
            print_now(f"{len(self.cases)} cases, about {self._minutes(len(services)):.0f} minutes.")
            for case in self.cases:
                self._measure(case, services, provider, pushes)
                record.save(self.run, self.out)
            self.run.rows = ours.rows() - before
            record.save(self.run, self.out)

    def _seconds(self, case: cases.Case) -> int:
        given: int | None = self.options.seconds
        return given or (SECONDS_OF_MARKS[case.load] if self.options.marks else SECONDS)

    def _minutes(self, services: int) -> float:
        """How long the cases take, without the starts."""
        loads = [self._seconds(case) + window.SETTLE for case in self.cases if case.load != "idle"]
        idle = sum(self._seconds(case) for case in self.cases if case.load == "idle")
        windows, seconds = int(self.options.windows), int(self.options.warm_up)
        warm_up = len(loads) * (seconds + window.SETTLE)
        return (services * (sum(loads) * windows + warm_up) + idle * windows) / 60

    def _measure(self, case: cases.Case, services: list[Service | Other], provider: Provider, pushes: Path) -> None:
        provider.set_delay(case.delay_ms)
        if case.load == "idle":
            time.sleep(CALM)
            for _ in range(self.options.windows):
                self._keep(window.idle(services, self._seconds(case)))
            return
        for service in services if case.load == "tls" else ():
            service.open_tls()
        taking = [service for service in services if service.tls_port or case.load != "tls"]

        def one(service: Service | Other, seconds: int) -> window.Window:
            done = window.measure(case, service, provider, pushes, self.programs, seconds)
            self.run.pushes += done.provided if isinstance(service, Service) else 0
            return done

        for service in taking:
            one(service, self.options.warm_up)
        for number in range(self.options.windows):
            # Whoever came second goes first in the next round: a drift of the machine favours nobody.
            for service in taking if number % 2 == 0 else reversed(taking):
                self._keep([one(service, self._seconds(case))])
        for service in taking if self.sampler else ():
            self._profile(case, service, functools.partial(one, service, self._seconds(case)))

    def _keep(self, windows: list[window.Window]) -> None:
        self.run.windows += windows
        for one in windows:
            print_now(_line(one))

    def _profile(self, case: cases.Case, service: Service | Other, load: profile.Load) -> None:
        for group in ("ingest", "worker"):
            print_now(f"Where {group} of {service.name} spends its time at {case.name}:")
            roots = service.roots(tls=case.load == "tls").get(group, [])
            out = self.folder.path / "profiles" / f"{case.name}-{service.name}-{group}"
            print_now(profile.sample(self.sampler, roots, self._seconds(case), out, load))


def _line(done: window.Window) -> str:
    if done.void:
        return f"{done.case:<22} {done.service:<9} VOID: {done.void}"
    spent = " ".join(f"{name} {cost:.0f}" for name, cost in figures.costs(done).items())
    if done.case == cases.IDLE:
        memory = sum(done.pss.values()) / 2**20
        return f"{done.case:<22} {done.service:<9} {figures.cost(done):6.0f} us a second ({spent}); {memory:.0f} MiB"
    return (
        f"{done.case:<22} {done.service:<9} {figures.cost(done):6.0f} us ({spent}); load {figures.load_cost(done):.0f};"
        f" {done.answered / done.seconds:,.0f}/s; p50 {done.p50_ms:.1f} p99 {done.p99_ms:.1f} ms"
    )


def _versions(found: Mapping[str, str]) -> dict[str, str]:
    """The versions of the programs of the benchmark."""
    nginx = subprocess.run([found["nginx"], "-v"], capture_output=True, text=True, check=False).stderr
    wrk = subprocess.run([found["wrk"], "-v"], capture_output=True, text=True, check=False).stdout
    return {
        "nginx": (re.findall(r"nginx/(\S+)", nginx) or ["?"])[0],
        "wrk": (re.findall(r"wrk (?:debian/)?(\S+)", wrk) or ["?"])[0],
    }


def print_report(runs: list[record.Run], *, marked: bool, mark: float) -> None:
    """Print what is to be known of some runs together. marked: whether the marks are met; mark: one for every case."""
    windows = [one for run in runs for one in run.windows]
    for run in runs:
        print_now(f"\n{record.about(run)}")
    print_now(f"\n{figures.table(figures.figures(windows))}")
    for other in list(dict.fromkeys(one.service for one in windows if one.service != Service.name)):
        print_now(f"\nAlternating windows, CPU a push:\n\n{figures.alternated(windows, Service.name, other)}")
        if marked:
            commit = next((run.others[other] for run in runs if run.others.get(other)), "")
            limits = marks.of(other, commit, mark)
            print_now(f"\nAgainst {other} {commit[:12]}:\n\n{marks.table(windows, Service.name, other, limits)}")
    for line in figures.voids(windows):
        print_now(line)


def work(options: argparse.Namespace) -> None:
    """Do what the command line asks for. Raises ProblemError, LookupError."""
    if options.compare:
        before, after = (record.load(path) for path in options.compare)
        for run in (before, after):
            print_now(record.about(run))
        print_now("\n" + figures.compared(before.windows, after.windows))
    elif options.markdown:
        print_report([record.load(path) for path in options.markdown], marked=options.marks, mark=options.mark)
    elif options.list:
        print_now("\n".join(case.name for case in cases.catalogue(options.rate or cases.RATES, options.tls_rate)))
    else:
        if options.yardstick or options.marks:
            if not options.against:
                raise ProblemError("--yardstick and --marks need --against COMMAND, which starts another service.")
            options.cases = options.cases or (list(YARDSTICK) if options.yardstick else list(cases.SETS))
            options.windows = options.windows or 5
        options.windows = options.windows or 3
        bench = Bench(options)
        bench.go()
        print_report([bench.run], marked=options.marks, mark=options.mark)
        print_now(f"\nSaved as {bench.out}")


def main() -> int:
    """The command; its exit code."""
    if sys.argv[1:2] == ["growth"]:
        growing = growth.parse(sys.argv[2:])
        return programs.exit_code(lambda: growth.work(growing))
    if sys.argv[1:2] == ["faults"]:
        return faults.main(sys.argv[2:])
    if sys.argv[1:2] == ["many"]:
        wanted = many.parse(sys.argv[2:])
        return programs.exit_code(lambda: many.work(wanted))
    options = parse()
    return programs.exit_code(lambda: work(options))


if __name__ == "__main__":
    sys.exit(main())
