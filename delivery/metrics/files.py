"""Metrics of all processes of a host: one small file per process in a folder, aggregated by whoever is scraped.

Files of our own instead of prometheus_client's memory-mapped ones: those belong to a process number, which two
containers on one folder share, stay for ever after each process that ends, and have to be chosen before its first
import. Invariants: a total never falls while a process is replaced by another (Prometheus would take it for a restart);
a file is seen whole or not at all; a process that was taken for dead and is not counts on from zero.
"""

import fcntl
import os
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

# Seconds without a write after which a process's gauges are void, and after which it counts as dead.
STALE_AFTER: Final = 10.0
DEAD_AFTER: Final = 60.0
ENDED: Final = "past.json"

Key = tuple[str, tuple[str, ...]]
"""The name of a metric, and the values of its labels."""


class Counts(msgspec.Struct):
    """Counters; histograms as the number of values in each bucket, the last without a bound, then their sum; gauges."""

    counters: dict[Key, float] = msgspec.field(default_factory=dict)
    histograms: dict[Key, list[float]] = msgspec.field(default_factory=dict)
    gauges: dict[Key, list[float]] = msgspec.field(default_factory=dict)
    """Each process's value; what to make of them is up to the reader."""

    def add(self, other: "Counts") -> None:
        """Add another process's counts."""
        for key, value in other.counters.items():
            self.counters[key] = self.counters.get(key, 0.0) + value
        for key, buckets in other.histograms.items():
            own = self.histograms.get(key)
            if own is None or len(own) != len(buckets):  # another version's buckets do not add up with ours
                self.histograms[key] = list(buckets)
            else:
                self.histograms[key] = [a + b for a, b in zip(own, buckets, strict=True)]
        for key, values in other.gauges.items():
            self.gauges.setdefault(key, []).extend(values)


class _File(msgspec.Struct, array_like=True):
    counters: list[tuple[str, tuple[str, ...], float]]
    histograms: list[tuple[str, tuple[str, ...], list[float]]]
    gauges: list[tuple[str, tuple[str, ...], list[float]]]


_decode = msgspec.json.Decoder(_File).decode


def encode(counts: Counts) -> bytes:
    """The content of a file."""
    return msgspec.json.encode(
        _File(
            [(*key, value) for key, value in counts.counters.items()],
            [(*key, buckets) for key, buckets in counts.histograms.items()],
            [(*key, values) for key, values in counts.gauges.items()],
        )
    )


def decode(data: bytes) -> Counts:
    """The reverse of encode. Raises msgspec.DecodeError, also for a file of another version."""
    file = _decode(data)
    return Counts(
        {(name, labels): value for name, labels, value in file.counters},
        {(name, labels): buckets for name, labels, buckets in file.histograms},
        {(name, labels): values for name, labels, values in file.gauges},
    )


class ProcessFile:
    """This process's file in `folder`, which is made if need be."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path: Path | None = None

    def write(self, data: bytes) -> bool:
        """Replace the content by `data`; False when the file was taken away: count on from zero then.

        Raises OSError when it cannot be written, BlockingIOError when another process aggregates just now.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder):
            if self.path is not None and not self.path.exists():
                self.path = None
                return False
            if self.path is None:
                name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.json"
                self.path = self.folder / name
            _replace(self.path, data)
        return True


def aggregate(folder: Path) -> Counts:
    """Aggregate the metrics of all processes, living and dead; gauges of living ones only. Merges the dead ones' files.

    Raises BlockingIOError when another process is doing the same, OSError when the folder cannot be read.
    """
    with _locked(folder):
        now = time.time()
        total = _read(folder / ENDED) or Counts()
        dead: list[Path] = []
        living: list[Counts] = []
        for path in folder.glob("*-*.json"):
            age = now - path.stat().st_mtime
            counts = _read(path)
            if counts is None:
                continue
            if age > STALE_AFTER:
                counts.gauges.clear()
            if age > DEAD_AFTER:
                dead.append(path)
                total.add(counts)
            else:
                living.append(counts)
        if dead:
            # In this order: should we die in between, some is counted twice rather than a total falls.
            _replace(folder / ENDED, encode(total))
            for path in dead:
                path.unlink()
        for counts in living:
            total.add(counts)
    return total


def _read(path: Path) -> Counts | None:
    try:
        return decode(path.read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return None  # none yet, or of another version of this program, which has its own reader


def _replace(path: Path, data: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(data)
    fresh.replace(path)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; it is released when its process ends, too."""
    with (folder / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
