"""Writes an archive to a file: whole, or not at all, and for nobody else to read."""

import os
from collections.abc import Iterable
from pathlib import Path

from tenants.problem import ProblemError


def write(path: Path, pieces: Iterable[bytes]) -> int:
    """Write `pieces` to a new file. How many bytes. Raises ProblemError when it is there already or cannot be made."""
    if path.exists():
        raise ProblemError(f"{path} is there already: name another file")
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.unlink(missing_ok=True)  # an earlier try's, which need not be as closed as ours
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ProblemError(f"{path} cannot be written: {error.strerror}") from error
    try:
        with open(descriptor, "wb") as file:
            size = sum(file.write(piece) for piece in pieces)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ProblemError(f"{path} cannot be written: {error.strerror}") from error
    finally:
        temporary.unlink(missing_ok=True)
    return size
