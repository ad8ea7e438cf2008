"""Folder format of a backup: its three files, and what stands in the clear in one of them.

Invariant: `backup.json` is written last, so that a folder with it is whole; nothing that is there is written over.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from hpns.backup.sealing import Seal, Work
from tenants.problem import ProblemError

CLEAR: Final = "backup.json"
KEYS: Final = "keys.sealed"
DATABASE: Final = "database.sealed"
FORMAT: Final = "hpns backup 1"


class Clear(NamedTuple):
    """The unencrypted metadata of a backup."""

    made_at: str
    version: str
    salt: bytes
    work: Work


def make(path: Path) -> None:
    """Make the folder, for nobody else to read. Raises ProblemError when something is in it already."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise ProblemError(f"{path} is not empty: give each backup a folder of its own")
    except OSError as error:
        raise ProblemError(f"{path} cannot be used: {error.strerror}") from error


def write(path: Path, blocks: Iterable[bytes]) -> int:
    """Write a file of the folder, safely on the disk when this returns. How many bytes. Raises ProblemError."""
    size = 0
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            for block in blocks:
                size += file.write(block)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ProblemError(f"{path} cannot be written: {error.strerror}") from error
    return size


def write_clear(path: Path, clear: Clear) -> None:
    """Write backup.json, the last file. Raises ProblemError."""
    members = {
        "format": FORMAT,
        "made_at": clear.made_at,
        "version": clear.version,
        "salt": clear.salt.hex(),
        "scrypt": clear.work._asdict(),
    }
    write(path / CLEAR, [json.dumps(members, indent=2).encode() + b"\n"])


def read_clear(path: Path) -> Clear:
    """Read backup.json. Raises ProblemError where there is none, or one of another format."""
    try:
        members: dict[str, Any] = json.loads((path / CLEAR).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProblemError(f"{path} is no backup, or one that was interrupted: it has no {CLEAR}") from None
    except (OSError, ValueError) as error:
        raise ProblemError(f"{path / CLEAR} cannot be read: {error}") from error
    if not isinstance(members, dict) or members.get("format") != FORMAT:
        raise ProblemError(f"{path / CLEAR} is not of the format {FORMAT!r}: use the version that made it")
    try:
        work = Work(**{name: int(members["scrypt"][name]) for name in Work._fields})
        return Clear(str(members["made_at"]), str(members["version"]), bytes.fromhex(members["salt"]), work)
    except (KeyError, TypeError, ValueError) as error:
        raise ProblemError(f"{path / CLEAR} was altered: it lacks what a backup has") from error


def opened(path: Path, passphrase: str) -> tuple[Clear, Seal]:
    """The clear part, and the seal that opens the rest. Raises ProblemError; a wrong passphrase shows at the first
    file that is opened."""
    clear = read_clear(path)
    return clear, Seal(passphrase, clear.salt, clear.work)
