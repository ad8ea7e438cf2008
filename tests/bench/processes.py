"""Processor time and memory of whole process trees, from /proc.

Invariant: the time of a child that ended and was reaped stays in the sum, because its parent carries it, and so does
the time of a thread that ended.
"""

import os
from collections.abc import Iterable, Mapping, Set
from pathlib import Path

import msgspec

TICKS = os.sysconf("SC_CLK_TCK")


class Seen(msgspec.Struct, frozen=True):
    """A process in proc(5)'s stat: its parent, when it started (clock ticks), seconds of user and system time, those of
    its reaped children; and the seconds of its living threads, to the nanosecond."""

    parent: int
    started: int
    own: float
    reaped: float = 0.0
    threads: float = 0.0

    @property
    def total(self) -> float:
        """Seconds of all up to now, to the tick."""
        return self.own + self.reaped

    def since(self, before: "Seen | None") -> float:
        """Seconds that have come to it since an earlier look at the same process, or since its start.

        `own` counts user and system time in ticks of 10 ms each, a tenth of what a quiet process uses in some seconds:
        the threads' clocks tell it better, unless they fall behind because one of them has ended.
        """
        old = before if before is not None and before.started == self.started else Seen(self.parent, self.started, 0.0)
        ticks, precise = self.own - old.own, self.threads - old.threads
        return (precise if precise >= ticks - 2 / TICKS else ticks) + self.reaped - old.reaped


def parse(stat: str, threads: Iterable[str] = ()) -> Seen:
    """One line of /proc/PID/stat, whose name may hold blanks and brackets; and the schedstat of each of its threads."""
    fields = stat.rpartition(")")[2].split()
    own, reaped = (sum(map(int, fields[first : first + 2])) / TICKS for first in (11, 13))
    return Seen(int(fields[1]), int(fields[19]), own, reaped, sum(int(one.split()[0]) for one in threads) / 1e9)


def look() -> dict[int, Seen]:
    """Every process now."""
    seen = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                seen[int(entry)] = _read(Path("/proc", entry))
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended while we looked
    return seen


def _read(folder: Path) -> Seen:
    threads = []
    for thread in os.listdir(folder / "task"):
        try:
            threads.append((folder / "task" / thread / "schedstat").read_text())
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that ended while we looked, or a kernel that does not count
    return parse((folder / "stat").read_text(errors="replace"), threads)


def trees(seen: Mapping[int, Seen], groups: Mapping[str, Iterable[int]]) -> dict[str, list[int]]:
    """The processes of each group: its roots and all below them, but what is below a root of another group is its."""
    every = {group: list(roots) for group, roots in groups.items()}
    return {
        group: tree(seen, roots, {pid for other, pids in every.items() if other != group for pid in pids})
        for group, roots in every.items()
    }


def tree(seen: Mapping[int, Seen], roots: Iterable[int], without: Set[int] = frozenset()) -> list[int]:
    """The processes `roots` and everything below them, but `without` and what is below those."""
    children: dict[int, list[int]] = {}
    for pid, process in seen.items():
        children.setdefault(process.parent, []).append(pid)
    found: list[int] = []
    layer = [pid for pid in roots if pid in seen]
    while layer:
        found += layer
        layer = [child for pid in layer for child in children.get(pid, ()) if child not in without]
    return found


def spent(before: Mapping[int, Seen], after: Mapping[int, Seen], first: Iterable[int], last: Iterable[int]) -> float:
    """Processor seconds between two looks at a tree of processes, whose members were `first` and then `last`."""
    members, left = set(first), set(last)
    ended = sum(before[pid].total for pid in members - left)  # their parents have it now
    return sum(after[pid].since(before.get(pid) if pid in members else None) for pid in left) - ended


def seconds(seen: Mapping[int, Seen], pids: Iterable[int]) -> float:
    """Processor seconds of these processes up to now, with those of their children that have ended."""
    return sum(seen[pid].total for pid in pids)


def named(seen: Mapping[int, Seen], roots: Iterable[int], word: str) -> list[int]:
    """Those below `roots` that have this word in their command line."""
    found = []
    for pid in tree(seen, roots):
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended while we looked
        if word.encode() in words:
            found.append(pid)
    return found


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
