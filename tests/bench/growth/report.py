"""What a run of bin/bench growth found: as JSON on the disk, and as a table for BENCHMARKS.md."""

import math
from collections.abc import Iterable
from pathlib import Path

import msgspec


class Page(msgspec.Struct):
    """A page as somebody sees it: how often it was asked for, and milliseconds; the bytes of its HTML. skipped: why
    it was not asked for."""

    what: str
    who: str
    times: int = 0
    p50: float = 0.0
    p95: float = 0.0
    kilobytes: float = 0.0
    queries: int = 0
    skipped: str = ""


class Growth(msgspec.Struct):
    """The whole run."""

    rows: int
    customers: int
    days: int
    commit: str = ""
    fill_seconds: float = 0.0
    disk_bytes: int = 0
    tables: dict[str, int] = {}
    pages: list[Page] = []
    rows_per_second: float = 0.0
    writer_cpu_us: float = 0.0
    drop_seconds: float = 0.0
    writes_meanwhile: int = 0
    longest_write_ms: float = 0.0


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that this share of all is no greater than. Raises IndexError for none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def save(found: Growth, path: Path) -> None:
    """Write it. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=1))


def load(path: Path) -> Growth:
    """Read it. Raises OSError, msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=Growth)


def table(found: Growth) -> str:
    """The run in Markdown."""
    sizes = ", ".join(f"{name} {size >> 20:,} MiB" for name, size in sorted(found.tables.items()))
    lines = [
        f"{found.rows:,} rows of {found.customers:,} customers over {found.days} days, made in "
        f"{found.fill_seconds:.0f} s; {found.disk_bytes >> 20:,} MiB on disk ({sizes}). Commit {found.commit[:12]}.",
        "",
        "| page | who | p50 ms | p95 ms | queries | KB |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for page in found.pages:
        if not page.skipped:
            figures = f"{page.p50:.0f} | {page.p95:.0f} | {page.queries} | {page.kilobytes:.0f}"
            lines.append(f"| {page.what} | {page.who} | {figures} |")
    skipped = sorted({f"{page.what} ({page.skipped})" for page in found.pages if page.skipped})
    if skipped:
        lines += ["", f"Not asked for: {', '.join(skipped)}."]
    if found.rows_per_second:
        lines += [
            "",
            f"Rows of the log with their rollups are written at {found.rows_per_second:,.0f} pushes/s, "
            f"{found.writer_cpu_us:.0f} us of CPU each.",
        ]
    if found.writes_meanwhile:
        lines += [
            "",
            f"A day is dropped in {found.drop_seconds * 1000:.0f} ms; a writer made {found.writes_meanwhile} "
            f"transactions meanwhile, the longest of {found.longest_write_ms:.0f} ms.",
        ]
    return "\n".join(lines)
