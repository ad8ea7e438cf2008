"""bin/bench faults: what dies, under load, and what becomes of the pushes; a table with a row for each fault.

bin/bench faults                            each fault in turn, at random moments under load
bin/bench faults --only 'kill-*' moved      some of them
bin/bench faults --list                     their names
bin/bench faults --random                   one load of 20 minutes, random faults of the list at random moments
bin/bench faults --random --seconds 60 --seed 7    a short one, replayed
bin/bench faults --soak                     300 pushes a second for 30 minutes without a fault: is everything flat?
bin/bench faults --markdown A.json          the table of a run, for BENCHMARKS.md

It exits with 1 when a push was lost, shown twice, wrongly told or wrongly removed, or anything else of judge.BREACHES.
"""

import argparse
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from hpns.local.problem import ProblemError
from tests.bench import programs
from tests.bench.faults import catalogue, report, soak
from tests.bench.faults.catalogue import Fault
from tests.bench.faults.judge import RECOVERY, breaches, judge
from tests.bench.faults.records import save
from tests.bench.faults.scene import Journal, Scene, finished, running_scene
from tests.stage import ROOT

# Seconds of a scenario's load, of the randomised run, of the soak.
SECONDS, RANDOM_SECONDS, SOAK_SECONDS = 20, 1200, 1800
RATE, SOAK_RATE = 60.0, 300.0
# Seconds of load before the first fault.
BEFORE = 1.5
# Seconds after which it is told what was not well for the longest.
TARDY = 4.0
# Seconds between two faults, from and to.
PAUSE = (0.5, 3.0)


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="bin/bench faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="names or shell patterns (default: all)")
    parser.add_argument("--list", action="store_true", help="print the names of the faults")
    parser.add_argument("--random", action="store_true", help="one load, random faults at random moments")
    parser.add_argument("--soak", action="store_true", help="one load, no fault, memory and keys by slope")
    parser.add_argument("--seconds", type=float, help="of a load (default: 20, --random 1200, --soak 1800)")
    parser.add_argument("--hold", type=float, help="seconds that each fault is held (default: as the list says)")
    parser.add_argument("--rate", type=float, help="pushes a second (default: 60, --soak 300)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of all that is random (default: the time)")
    parser.add_argument("--workers-send", action="store_true", help="web processes hand everything to the workers")
    parser.add_argument(
        "--state", type=Path, default=ROOT / ".state" / "faults", help="folder (default: .state/faults)"
    )
    parser.add_argument("--out", type=Path, help="where the run is saved (default: a new file in the folder)")
    parser.add_argument("--markdown", type=Path, nargs="+", metavar="RUN", help="print the tables of saved runs")
    return parser.parse_args(arguments)


def print_now(line: str) -> None:
    """One line to the person at the terminal."""
    print(line, flush=True)


class Tour:
    """One run of the options."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.faults = catalogue.chosen(options.only)
        self.folder: Path = options.state
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run = report.begin(sys.argv[1:], options.seed)
        self.out: Path = options.out or self.folder / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
        self.rate: float = options.rate or (SOAK_RATE if options.soak else RATE)

    def go(self) -> bool:
        """Meet every fault; returns whether all is as it has to be. Raises ProblemError, LookupError."""
        print_now(f"Seed {self.options.seed}.")
        with ExitStack() as stack:
            scene = self._scene(stack)
            if self.options.soak:
                seconds = self.options.seconds or SOAK_SECONDS
                row, self.run.samples = soak.soaked(scene, self.rate, seconds, print_now)
                self._keep(row)
            elif self.options.random:
                faults = [fault for fault in self.faults if fault.shaken]
                self._keep(self._one(scene, "random", faults, self.options.seconds or RANDOM_SECONDS))
            else:
                for fault in self.faults:
                    row = self._one(scene, fault.name, [fault], self.options.seconds or SECONDS)
                    self._keep(row)
                    if row.tally.recovered is None:
                        print_now("It does not recover: a new service for the next.")
                        stack.close()
                        scene = self._scene(stack)
        return not any(row.wrong for row in self.run.rows)

    def _scene(self, stack: ExitStack) -> Scene:
        settings = {"DELIVER_FROM": "workers"} if self.options.workers_send else {}
        scene = stack.enter_context(
            running_scene(self.folder, self.options.seed, small_disks=not self.options.soak, **settings)
        )
        found, problems = scene.wait_until(scene.unserved, RECOVERY)
        if found is None:
            raise ProblemError(f"The service does not become well: {'; '.join(problems)}")
        return scene

    def _one(self, scene: Scene, name: str, faults: list[Fault], seconds: float) -> report.Row:
        """One load with faults of these, drawn with the scene's randomness."""
        # Each scenario has a sequence of its own, so that it can be replayed alone.
        scene.random.seed(f"{self.options.seed} {name}")
        scene.begin()
        journal, load = Journal(scene), scene.load(self.rate)
        happened: list[str] = []
        problems: list[str] = []
        load.start()
        began = time.monotonic()
        try:
            time.sleep(BEFORE)
            while True:
                fault = scene.random.choice(faults)
                hold = self.options.hold or scene.random.uniform(*fault.hold)
                moment = time.monotonic() - began
                happened.append(f"{moment:.1f} {fault.name} {hold:.1f}")
                if len(faults) > 1:
                    print_now(f"  {moment:7.1f} s  {fault.name} for {hold:.1f} s")
                with fault.begin(scene):
                    time.sleep(hold)
                enough = len(faults) == 1 and len(happened) >= fault.times
                if enough or time.monotonic() - began > seconds:
                    break
                time.sleep(scene.random.uniform(*PAUSE))
        except LookupError as impossible:
            problems.append(str(impossible))
        ended = time.monotonic()
        try:
            scene.ensure()
            _, unserved = scene.wait_until(scene.unserved, RECOVERY)  # while pushes go on
        finally:
            load.stop()
        took, unwell = scene.wait_until(scene.unended, RECOVERY)
        recovered = None if took is None else time.monotonic() - ended
        record = finished(scene, load, journal, recovered)
        save(record, self.folder / f"{name}.record.json")
        tally, may = judge(record), report.may(faults, happened)
        what = faults[0].what if len(faults) == 1 else f"{len(happened)} faults at random"
        if took is None or took > TARDY:
            problems += [*unserved, *unwell]
        wrong = breaches(tally, may) + scene.wrong + [each for check in scene.checks for each in check(record)]
        return report.Row(name, what, happened, tally, wrong, [*scene.notes, *problems])

    def _keep(self, row: report.Row) -> None:
        self.run.rows.append(row)
        report.save(self.run, self.out)
        print_now(report.line(row))


def work(options: argparse.Namespace) -> bool:
    """Do what the command line asks for; whether all is as it has to be. Raises ProblemError, LookupError."""
    if options.list:
        print_now("\n".join(f"{fault.name:<18} {fault.what}" for fault in catalogue.FAULTS))
        return True
    if options.markdown:
        for path in options.markdown:
            run = report.load(path)
            print_now(f"{report.about(run)}\n\n{report.table(run)}\n")
        return True
    tour = Tour(options)
    well = tour.go()
    print_now(f"\n{report.about(tour.run)}\n\n{report.table(tour.run)}\n\nSaved as {tour.out}")
    return well


def main(arguments: list[str]) -> int:
    """The command; its exit code."""
    options = parse(arguments)
    outcome: list[bool] = []
    code = programs.exit_code(lambda: outcome.append(work(options)))
    return code or int(not all(outcome))
