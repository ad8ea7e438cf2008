"""A run of faults as it is saved and printed: one row for each scenario."""

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.bench import record
from tests.bench.faults.catalogue import FAULTS, Fault
from tests.bench.faults.judge import Tally


class Row(msgspec.Struct):
    """One scenario: what happened (moment, fault, seconds held), the counts, what is wrong, and what was not well."""

    name: str
    what: str
    happened: list[str]
    tally: Tally
    wrong: list[str]
    remarks: list[str] = []


class Run(msgspec.Struct):
    """One run of the command."""

    commit: str
    at: str
    arguments: list[str]
    seed: int
    rows: list[Row] = []
    samples: list[dict[str, float]] = []


def begin(arguments: list[str], seed: int) -> Run:
    """A run that begins now."""
    return Run(record.commit(), time.strftime("%Y-%m-%d %H:%M"), arguments, seed)


def save(run: Run, path: Path) -> None:
    """Write it."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1))


def load(path: Path) -> Run:
    """A run that was saved. Raises msgspec.MsgspecError, OSError."""
    return msgspec.json.decode(path.read_bytes(), type=Run)


def may(faults: Sequence[Fault], happened: Sequence[str]) -> frozenset[str]:
    """What the faults that happened (of these) cannot help."""
    names = {each.split()[1] for each in happened}
    return frozenset[str]().union(*(fault.may for fault in faults if fault.name in names))


def line(row: Row) -> str:
    """One line for the person at the terminal."""
    tally = row.tally
    failed = ", ".join(f"{count} {code}" for code, count in tally.fail.items())
    word = f"WRONG: {'; '.join(row.wrong)}" if row.wrong else "held"
    remarks = f" [{'; '.join(row.remarks)}]" if row.remarks else ""
    well = "never" if tally.recovered is None else f"{tally.recovered:.1f} s"
    return (
        f"{row.name:<17} {tally.pushes} pushes, {tally.ok} OK, {tally.removed} REMOVE, FAIL: {failed or 'none'}, "
        f"{tally.no_answer}+{tally.unreached} no answer; again on the wire {tally.wire_repeats}; longest "
        f"{tally.longest:.1f} s; well after {well}; {word}{remarks}"
    )


COLUMNS = (
    "fault",
    "pushes",
    "accepted",
    "OK",
    "REMOVE",
    "FAIL",
    "no answer",
    "delivered",
    "again on the wire",
    "twice on a phone",
    "rang twice",
    "lost",
    "OK, ended otherwise",
    "FAIL, yet delivered",
    "wrongly removed",
    "rows missing",
    "rows double",
    "refusals unlogged",
    "answer differs",
    "longest answer, s",
    "well after, s",
    "",
)


def table(run: Run) -> str:
    """The table of a run, as Markdown."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "|".join(["---"] + ["--:"] * (len(COLUMNS) - 2) + ["---"]) + "|"]
    for row in run.rows:
        tally = row.tally
        failed = " ".join(f"{code} {count}" for code, count in tally.fail.items()) or "0"
        cells = (
            row.name,
            tally.pushes,
            tally.accepted,
            tally.ok,
            tally.removed,
            failed,
            tally.no_answer + tally.unreached,
            tally.delivered,
            tally.wire_repeats,
            tally.phone_repeats,
            tally.rings_again,
            tally.lost,
            tally.ok_otherwise,
            tally.fail_delivered,
            tally.wrongly_removed,
            tally.rows_missing,
            tally.rows_double,
            tally.unlogged,
            tally.told_otherwise,
            f"{tally.longest:.1f}",
            "never" if tally.recovered is None else f"{tally.recovered:.1f}",
            "**wrong**" if row.wrong else "held",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def about(run: Run) -> str:
    """When and of what."""
    return f"{run.at}, commit {run.commit}, seed {run.seed}: `bin/bench {' '.join(run.arguments)}`"


def names() -> list[str]:
    """All faults."""
    return [fault.name for fault in FAULTS]
