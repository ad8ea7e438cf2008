"""Passphrase of a backup, from the environment or a file. Never from the command line, which others see."""

import os
from pathlib import Path
from typing import Final

from tenants.problem import ProblemError

VARIABLE: Final = "BACKUP_PASSPHRASE"


def passphrase(file: str) -> str:
    """The first line of `file`, without one the variable BACKUP_PASSPHRASE. Raises ProblemError."""
    if not file:
        found = os.environ.get(VARIABLE, "")
        if not found:
            raise ProblemError(f"a backup is sealed: set {VARIABLE}, or name a file by --passphrase-file")
        return found
    try:
        return Path(file).read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ProblemError(f"{file} cannot be read: {getattr(error, 'strerror', 'it is no text')}") from error
