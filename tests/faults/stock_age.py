"""Debian's `age`, which asks for the passphrase at a terminal: runs a shell command with one, and types it there."""

import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.required_programs import program

# The terminal is on standard input; what `age` asks comes there, and what the command prints goes elsewhere.
TERMINAL = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"


def folder_of_age() -> str:
    """Where the program is. Without it the test is skipped, but never in CI."""
    return str(Path(program("AGE")).parent)


def typed(command: str, passphrase: str, folder: Path, environment: Mapping[str, str]) -> bytes:
    """Run a command in a folder and type the passphrase when it is asked for; what it printed."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", TERMINAL, "bash", "-o", "pipefail", "-c", command],
        cwd=folder,
        env={**environment, "PATH": f"{environment['PATH']}:{folder_of_age()}:/usr/bin:/bin"},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        prompt = b""
        try:
            while b"passphrase" not in prompt:
                prompt += os.read(ours, 1000)
            os.write(ours, f"{passphrase}\n".encode())
            printed, complaints = process.communicate(timeout=60)
        except BaseException:
            process.kill()
            raise
        finally:
            os.close(ours)
    assert process.returncode == 0, (prompt, complaints)
    return printed
