"""Processor time and memory of whole process trees, from /proc.

Invariant: the time of a child that ended and was reaped stays in the sum, because its parent carries it.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

TICKS = os.sysconf("SC_CLK_TCK")


class Seen(msgspec.Struct, frozen=True):
    """A process in proc(5)'s stat: its parent, when it started (clock ticks), user and system time with that of its
    reaped children (clock ticks)."""

    parent: int
    started: int
    ticks: int


def parse(stat: str) -> Seen:
    """One line of /proc/PID/stat; the name in it may hold blanks and brackets."""
    fields = stat.rpartition(")")[2].split()
    return Seen(int(fields[1]), int(fields[19]), sum(map(int, fields[11:15])))


def look() -> dict[int, Seen]:
    """Every process now."""
    seen = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                seen[int(entry)] = parse(Path(f"/proc/{entry}/stat").read_text(errors="replace"))
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended while we looked
    return seen


def tree(seen: Mapping[int, Seen], roots: Iterable[int]) -> list[int]:
    """The processes `roots` and everything below them."""
    children: dict[int, list[int]] = {}
    for pid, process in seen.items():
        children.setdefault(process.parent, []).append(pid)
    found: list[int] = []
    layer = [pid for pid in roots if pid in seen]
    while layer:
        found += layer
        layer = [child for pid in layer for child in children.get(pid, ())]
    return found


def seconds(seen: Mapping[int, Seen], roots: Iterable[int]) -> float:
    """Processor seconds of the trees under `roots` up to now."""
    return sum(seen[pid].ticks for pid in tree(seen, roots)) / TICKS


def same(before: Mapping[int, Seen], after: Mapping[int, Seen], roots: Iterable[int]) -> bool:
    """Whether each of `roots` is the same living process in both."""
    return all(pid in before and pid in after and before[pid].started == after[pid].started for pid in roots)


def memory(pids: Iterable[int]) -> tuple[int, int]:
    """Resident and proportional set size of the processes together, in bytes; shared pages count once in the second."""
    resident = proportional = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended while we looked
        values = {line.split()[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
        resident += values["Rss:"] * 1024
        proportional += values["Pss:"] * 1024
    return resident, proportional
