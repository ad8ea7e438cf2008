"""bin/bench growth: a database of a service that has grown, and what its pages, rollups and retention cost there.

bin/bench growth                               10 million rows of 1,000 customers over 45 days: minutes
bin/bench growth --rows 200000 --times 10      smaller
bin/bench growth --keep                        leave the database for a next time
bin/bench growth --again pages                 only these steps, on the database that was left
bin/bench growth --markdown FILE               the table of a saved run, for BENCHMARKS.md
"""

import argparse
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from hpns.local.account import for_servers
from hpns.local.demo_names import SELLER
from hpns.local.folder import Folder
from hpns.local.postgres import Postgres
from hpns.local.problem import ProblemError
from hpns.local.process import Child, Spec
from hpns.local.valkey import Valkey
from tests.bench import record
from tests.bench.growth import report
from tests.bench.growth.plan import Plan
from tests.bench.service import ROOT
from tests.cluster import settings_on

STEPS: Final = ("fill", "pages", "pace")
# Whose rights a step has.
ROLES: Final = {"fill": "owner", "pages": "pages", "pace": "worker"}
# For the filling alone, which sorts whole days: not what is measured.
FILLING: Final = "-c work_mem=256MB -c maintenance_work_mem=512MB -c synchronous_commit=off -c jit=off"
# Seconds for the start of a server, and for a step.
START, STEP = 60, 3600


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="bin/bench growth", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the log (default: %(default)s)")
    parser.add_argument("--customers", type=int, default=1_000, help="how many (default: %(default)s)")
    parser.add_argument("--days", type=int, default=45, help="days that they are spread over (default: %(default)s)")
    parser.add_argument("--times", type=int, default=30, help="how often each page is asked for (default: %(default)s)")
    parser.add_argument("--feed", type=int, default=100_000, help="rows for the writer (default: %(default)s)")
    parser.add_argument(
        "--state", type=Path, default=ROOT / ".state" / "growth", help="folder (default: .state/growth)"
    )
    parser.add_argument("--out", type=Path, help="where the run is saved (default: growth.json in the folder)")
    parser.add_argument("--keep", action="store_true", help="leave the database")
    parser.add_argument("--again", nargs="+", choices=STEPS, metavar="STEP", help="steps on the database that was left")
    parser.add_argument("--markdown", type=Path, metavar="RUN", help="print the table of a saved run")
    return parser.parse_args(arguments)


def work(options: argparse.Namespace) -> None:
    """Do what the command line asks for. Raises ProblemError, OSError."""
    if options.markdown:
        print(report.table(report.load(options.markdown)))
        return
    home = options.state
    # It stays with the database, for those who ask again.
    out = home / "growth.json"
    folder = Folder(home, for_servers())
    folder.lock()
    task = home / "task.json"
    if not options.again:
        _begin(options, folder, task, out)
    elif not task.exists():
        raise ProblemError(f"There is no database in {home}: run bin/bench growth --keep first.")
    with ExitStack() as stack:
        env = _stores(folder, stack)
        if not options.again:
            _child(["hpns.local.prepare", str(home)], env)
        for step in options.again or STEPS:
            print(f"\n{step}:", flush=True)
            _child(
                ["tests.bench.growth", step, str(task), str(out)],
                {**env, "DATABASE_ROLE": ROLES[step], **({"PGOPTIONS": FILLING} if step == "fill" else {})},
            )
    if options.out:
        shutil.copyfile(out, options.out)
    print(f"\n{report.table(report.load(out))}\n\nSaved as {options.out or out}")
    if not options.keep and not options.again:
        shutil.rmtree(folder.servers / "postgres")
        task.unlink()


def _begin(options: argparse.Namespace, folder: Folder, task: Path, out: Path) -> None:
    """Room, an empty folder, and the plan. Raises ProblemError."""
    plan = Plan(options.rows, options.customers, options.days, datetime.now(UTC).replace(microsecond=0))
    for store in ("postgres", "valkey"):
        shutil.rmtree(folder.servers / store, ignore_errors=True)
    free = shutil.disk_usage(folder.path).free
    print(
        f"{plan.rows:,} rows need {plan.disk >> 30} GiB of disk with what is to stay free; {free >> 30} GiB are free."
    )
    if free < plan.disk:
        raise ProblemError(f"Too little disk: {free >> 30} GiB are free. Give fewer --rows, or another --state.")
    task.write_bytes(msgspec.json.encode({"plan": plan, "times": options.times, "feed": options.feed}))
    found = report.Growth(options.rows, options.customers, options.days, commit=record.begin([], {}).commit)
    report.save(found, out)


def _stores(folder: Folder, stack: ExitStack) -> Mapping[str, str]:
    """Start PostgreSQL and Valkey as bin/run does; the settings of a service on them."""
    secret = folder.path / "password"
    if not secret.exists():
        secret.write_text(secrets.token_urlsafe(16), encoding="utf-8")
    password = secret.read_text(encoding="utf-8")
    postgres, valkey = Postgres(folder, password), Valkey(folder, password)
    for spec in (postgres.spec(), valkey.spec()):
        child = Child(spec)
        stack.callback(_stop, child)
        _wait(child, spec)
    return {
        **settings_on(postgres, valkey),
        "RETENTION_DAYS": "60",
        "ALLOWED_HOSTS": "testserver",
        "SELLER": SELLER,  # for the demo's invoice
        "PYTHONUNBUFFERED": "1",
    }


def _wait(child: Child, spec: Spec) -> None:
    limit = time.monotonic() + START
    while not spec.ready():
        if child.poll() is not None or time.monotonic() > limit:
            raise ProblemError(f"{spec.name} does not start; see {spec.log}.")
        time.sleep(0.1)


def _stop(child: Child) -> None:
    child.send_stop_signal()
    limit = time.monotonic() + START
    while child.poll() is None and time.monotonic() < limit:
        time.sleep(0.05)
    child.kill()


def _child(arguments: list[str], env: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], env={**os.environ, **env}, cwd=ROOT, timeout=STEP, check=False
    )
    if done.returncode:
        raise ProblemError(f"{' '.join(arguments[:2])} failed with {done.returncode}.")
