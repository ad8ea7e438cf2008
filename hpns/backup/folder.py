"""Folder format of a backup: its files, and what stands in the clear in one of them.

Invariant: `backup.json` is written last, so that a folder with it is whole; nothing that is there is written over.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from hpns.backup import first_format
from hpns.backup.first_format import FirstSeal
from hpns.backup.sealing import IDENTITY, Opener, Seal, Sink
from tenants.problem import ProblemError

CLEAR: Final = "backup.json"
FORMAT: Final = "hpns backup 2"
# The parts; each is a file of this name with the seal's suffix.
KEYS: Final = "keys"
DATABASE: Final = "database"
WITHOUT_US: Final = (
    "age --decrypt --identity identity.age keys.age",
    "age --decrypt --identity identity.age database.age | "
    "pg_restore --no-owner --no-privileges --exit-on-error --single-transaction --dbname=URL",
)
"""How whoever has the passphrase opens a backup without this program; `age` asks for it."""


class Backup(NamedTuple):
    """A backup that is there, with what opens it."""

    path: Path
    made_at: str
    version: str
    seal: Opener

    def read(self, part: str, sink: Sink) -> None:
        """Write what a part holds into `sink`. Raises ProblemError where it is not whole."""
        path = self.path / f"{part}{self.seal.suffix}"
        try:
            file = path.open("rb")
        except OSError as error:
            raise ProblemError(f"{path} cannot be read: {error.strerror}") from error
        with file:
            self.seal.open_(part, file, sink)


def make(path: Path) -> None:
    """Make the folder, for nobody else to read. Raises ProblemError when something is in it already."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise ProblemError(f"{path} is not empty: give each backup a folder of its own")
    except OSError as error:
        raise ProblemError(f"{path} cannot be used: {error.strerror}") from error


def write(path: Path, fill: Callable[[BinaryIO], object]) -> int:
    """Write a file of the folder by `fill`, safely on the disk when this returns. Its bytes. Raises ProblemError."""
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
            return file.tell()
    except OSError as error:
        raise ProblemError(f"{path} cannot be written: {error.strerror}") from error


def write_clear(path: Path, made_at: str, version: str) -> None:
    """Write backup.json, the last file. Raises ProblemError."""
    clear = {"format": FORMAT, "made_at": made_at, "version": version, "opened_without_hpns_by": WITHOUT_US}
    content = json.dumps(clear, indent=2).encode() + b"\n"
    write(path / CLEAR, lambda file: file.write(content))


def opened(path: Path, passphrase: str) -> Backup:
    """Return a backup, of this format or the first. Raises ProblemError; of the first format a wrong passphrase shows
    only when a part is read."""
    clear = _read_clear(path)
    seal: Opener
    if clear["format"] == first_format.FORMAT:
        seal = FirstSeal(passphrase, clear)
    else:
        try:
            sealed = (path / IDENTITY).read_bytes()
        except OSError as error:
            raise ProblemError(f"{path / IDENTITY} cannot be read: {error.strerror}") from error
        seal = Seal.opened(sealed, passphrase)
    return Backup(path, str(clear["made_at"]), str(clear["version"]), seal)


def _read_clear(path: Path) -> dict[str, Any]:
    try:
        clear: dict[str, Any] = json.loads((path / CLEAR).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProblemError(f"{path} is no backup, or one that was interrupted: it has no {CLEAR}") from None
    except (OSError, ValueError) as error:
        raise ProblemError(f"{path / CLEAR} cannot be read: {error}") from error
    if not isinstance(clear, dict) or clear.get("format") not in (FORMAT, first_format.FORMAT):
        raise ProblemError(f"{path / CLEAR} is of no format known here: use the version that made it")
    if "made_at" not in clear or "version" not in clear:
        raise ProblemError(f"{path / CLEAR} was altered: it lacks what a backup has")
    return clear
