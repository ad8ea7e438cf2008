"""A run on disk and as a table. Pure but for the file."""

import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from tests.bench import record
from tests.bench.neighbours.quiet import Seen, fails


class Case(msgspec.Struct):
    """One flood and what the quiet customer saw meanwhile.

    alone: the same just before, without others; load_before: the machine's load average; load: what the flood counted
    itself; provided, rows: pushes that reached the near provider and rows that came into the log meanwhile, the quiet
    customer's with them; ingest_mib: resident memory of the web processes; recovered_s: seconds from its end until a
    push and a page were answered as ever.
    """

    name: str
    what: str
    door: str
    alone: Seen
    load_before: str = ""
    seen: Seen | None = None
    load: list[dict[str, Any]] = []
    provided: int = 0
    rows: int = 0
    ingest_mib: int = 0
    recovered_s: float = 0.0
    remarks: list[str] = []
    skipped: str = ""


class Run(msgspec.Struct):
    """A run: of which commit, when, on what."""

    started: str
    arguments: list[str]
    commit: str
    machine: dict[str, str]
    cases: list[Case] = []


def begin(root: Path, arguments: list[str]) -> Run:
    """A run that starts now."""
    done = subprocess.run(["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    return Run(started, arguments, done.stdout.strip(), record.machine())


def default_path(folder: Path) -> Path:
    """Where a run is saved unless somebody says otherwise."""
    return folder / f"neighbours-{time.strftime('%Y%m%d-%H%M%S')}.json"


def save(run: Run, path: Path) -> None:
    """Write a run. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1))


def about(run: Run) -> str:
    """Where the figures come from."""
    machine = run.machine
    return (
        f"Commit {run.commit[:12]}, {run.started}, {machine['cpu']}, {machine['cores']} cores, load before:"
        f" {machine['load']}."
    )


def alone(run: Run, door: str) -> tuple[float, float]:
    """The quiet customer's p50 and p99 in ms without others, by the same door: the medians of all cases, since a busy
    machine spoils single ones."""
    seen = [case.alone for case in run.cases if case.door == door]
    return median(one.p50_ms for one in seen), median(one.p99_ms for one in seen)


def ratio(case: Case, run: Run) -> float:
    """The p99 beside the flood over that alone; 0 for a flood that was not made."""
    return case.seen.p99_ms / alone(run, case.door)[1] if case.seen else 0.0


def bad(words: dict[str, int], good: str) -> str:
    """What was not as it should be, most often first: "19 of 20 (503)"."""
    if not (count := fails(words, good)):
        return "0"
    others = sorted((word for word in words if word != good), key=lambda word: -words[word])
    return f"{count} of {sum(words.values())} ({', '.join(others[:3])})"


def cells(case: Case, run: Run) -> list[str]:
    """A row of the table."""
    seen = case.seen
    if seen is None:
        return [case.name, "", "", "", "", "", "", "", "", f"skipped: {case.skipped}"]
    also = [
        f"{case.rows:,} rows",
        f"{case.provided:,} provided",
        f"web {case.ingest_mib} MiB",
        f"load {case.load_before}",
        *case.remarks,
        *(f"well after {case.recovered_s:.0f} s" for _ in range(case.recovered_s > 1)),
        *(" ".join(f"{word} {count}" for word, count in sorted(one.items(), key=str)[:6]) for one in case.load),
    ]
    return [
        case.name,
        f"{seen.p50_ms:,.0f}",
        f"{seen.p99_ms:,.0f}",
        f"{ratio(case, run):.1f}",
        bad(seen.words, "OK"),
        f"{seen.new_p50_ms:,.0f}",
        bad(seen.new_words, "OK"),
        bad(seen.pages.get("/health/ready", {}), "200"),
        bad(seen.pages.get("/account/login/", {}), "200"),
        "; ".join(also),
    ]


def line(case: Case, run: Run) -> str:
    """A case for the terminal."""
    name, p50, p99, more, failed, new, new_failed, ready, login, also = cells(case, run)
    if case.seen is None:
        return f"{name:<20} {also}"
    return (
        f"{name:<20} p50 {p50} p99 {p99} ms ({more}x), FAIL {failed}; new {new} ms, FAIL {new_failed}; ready {ready}, "
        f"login {login}; {also}"
    )


def table(run: Run) -> str:
    """All cases, for a page in Markdown."""
    head = ["flood", "p50 ms", "p99 ms", "p99 / alone", "FAIL", "new connection p50 ms", "FAIL", "ready not 200"]
    head += ["login page not 200", "also seen"]
    doors = dict.fromkeys(case.door for case in run.cases)
    usual = [[f"alone, {door}", *(f"{ms:,.0f}" for ms in alone(run, door)), "1.0", *[""] * 6] for door in doors]
    rows = [head, ["---"] * len(head), *usual, *(cells(case, run) for case in run.cases)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
