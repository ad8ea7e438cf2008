"""A run on disk: every window, and what is needed to know where the figures come from."""

import platform
import subprocess
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import msgspec

from hpns.local.problem import ProblemError
from tests.bench.window import Window

ROOT = Path(__file__).resolve().parent.parent.parent
FORMAT = 1
# What the path of a push runs on.
PACKAGES = ("httptools", "uvloop", "Django", "djangorestframework", "celery", "kombu", "msgspec", "hiredis", "hpack")


class Run(msgspec.Struct):
    """A run: when, of which commit (`dirty`: with changes that are not in it), on what, and all its windows.

    pushes, rows: our own service's pushes in all windows and warm-ups, as the provider counted them, and the rows that
    they left in the delivery log. others: the commit that each other service was built from, "" where it did not say.
    """

    started: str
    arguments: list[str]
    commit: str
    dirty: bool
    machine: dict[str, str]
    versions: dict[str, str]
    windows: list[Window]
    pushes: int = 0
    rows: int = 0
    others: dict[str, str] = {}
    format: int = FORMAT


def begin(arguments: list[str], programs: dict[str, str]) -> Run:
    """A run that starts now, without windows yet."""
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return Run(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        arguments=arguments,
        commit=_git("rev-parse", "HEAD"),
        dirty=bool(changed),
        machine=machine(),
        versions={"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES} | programs,
        windows=[],
    )


def commit() -> str:
    """The commit of this checkout, with a plus where something is not in it."""
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return _git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")


def machine() -> dict[str, str]:
    """What the figures depend on and no commit says."""
    cpus = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in cpus if line.startswith("model name")]
    total = Path("/proc/meminfo").read_text().split()[1]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": str(len(names)),
        "memory_mib": str(int(total) // 1024),
        "kernel": platform.release(),
        "load": " ".join(Path("/proc/loadavg").read_text().split()[:3]),
    }


def default_path(folder: Path) -> Path:
    """Where a run is saved unless somebody says otherwise."""
    return folder / f"run-{time.strftime('%Y%m%d-%H%M%S')}.json"


def save(run: Run, path: Path) -> None:
    """Write a run. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1))


def load(path: Path) -> Run:
    """Read a run. Raises ProblemError when the file is none."""
    try:
        run = msgspec.json.decode(path.read_bytes(), type=Run)
    except (OSError, msgspec.DecodeError) as error:
        raise ProblemError(f"{path} cannot be read as a run of bin/bench: {error}.") from error
    if run.format != FORMAT:
        raise ProblemError(f"{path} is of format {run.format}; this bin/bench reads format {FORMAT}.")
    return run


def about(run: Run) -> str:
    """Where the figures come from, in a line or two."""
    machine_, versions = run.machine, ", ".join(f"{name} {version}" for name, version in run.versions.items())
    changed = " with changes" if run.dirty else ""
    return (
        f"Commit {run.commit[:12]}{changed}, {run.started}, `bin/bench {' '.join(run.arguments)}`.\n"
        f"{machine_['cpu']}, {machine_['cores']} cores, {machine_['memory_mib']} MiB, Linux {machine_['kernel']}, load "
        f"before: {machine_['load']}. {versions}.\n"
        f"{run.pushes:,} pushes of ours reached the provider and left {run.rows:,} rows in the delivery log."
    )


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip()
