"""Makes .venv from a lock file; bin/run and bin/test run it before anything else, with whatever Python they found.

    python3 -I hpns/local/environment.py LOCK [LOCK_THAT_WILL_DO...]

Invariants: it needs the standard library alone. A .venv with a stamp is whole: the stamp is taken away before a change
and written last, so an installation that was cut short is noticed and made anew. Every package has a hash.
"""

import errno
import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "stamp.json"
# Stands in a .venv from its first moment until it is whole; one without it and without a stamp was made by hand.
UNFINISHED = VENV / "unfinished"
INSTALLER = ROOT / "requirements-uv.lock"
NEEDED_BYTES = 900 * 1024 * 1024
NAMED = re.compile(r"^[^\s#]+==", re.MULTILINE)
# What pip is told about package indexes on this machine, in uv's words.
PIP_TO_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
}


class InstallError(Exception):
    """Ends the command with its text: one line with what to do."""


def stamp_of(lock: Path) -> dict[str, str]:
    """What the stamp says after `lock` was installed here; another Python or another place makes another stamp."""
    return {
        "lock": lock.name,
        "sha256": hashlib.sha256(lock.read_bytes()).hexdigest(),
        "python": sys.version.split()[0],
        "path": str(VENV),
    }


def is_ready(locks: list[Path]) -> bool:
    """Whether .venv holds one of `locks` as it is now."""
    try:
        found = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return PYTHON.exists() and found in [stamp_of(lock) for lock in locks]


def print_line(line: str) -> None:
    """Print one line of progress."""
    print(line, file=sys.stderr, flush=True)


def run(command: list[str], environment: dict[str, str], *, shown: bool = True) -> str:
    """Run a step and pass its progress on; "" when it went well, else its last lines."""
    last: list[str] = []
    try:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        return str(error)
    assert process.stdout is not None  # noqa: S101 - asked for above
    for line in process.stdout:
        last = [*last[-7:], line.rstrip()]
        # uv lists each package once more at the end, pip each one that is there already.
        if shown and not line.startswith((" + ", " - ", " ~ ", "Requirement already")):
            print_line(f"    {line.rstrip()}")
    return "" if process.wait() == 0 else "\n".join(last) or f"exit code {process.returncode}"


def make() -> None:
    """A .venv with pip in it. Raises InstallError."""
    if importlib.util.find_spec("ensurepip") is None:
        name = Path(sys.executable).name if Path(sys.executable).name.startswith("python3") else "python3"
        raise InstallError(f"This Python cannot make environments (no ensurepip): apt install {name}-venv")
    if shutil.disk_usage(ROOT).free < NEEDED_BYTES:
        raise InstallError(f"Less than {NEEDED_BYTES >> 20} MB are free in {ROOT}: make room and start again.")
    VENV.mkdir()
    UNFINISHED.touch()
    venv.EnvBuilder(with_pip=True, symlinks=True).create(VENV)


def settings_of_pip(environment: dict[str, str]) -> dict[str, str]:
    """`environment` with this machine's pip settings in uv's words; what is set for uv already stays."""
    listed = subprocess.run(
        [str(PYTHON), "-m", "pip", "config", "list"], env=environment, capture_output=True, text=True, check=False
    )
    from_pip = {}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        setting = name.rpartition(".")[2].replace("_", "-")
        if setting in PIP_TO_UV:
            from_pip[PIP_TO_UV[setting]] = " ".join(value.strip("'\"").replace("\\n", " ").split())
    return {**from_pip, **environment}


def fill(lock: Path) -> None:
    """Bring .venv to exactly what `lock` names: with uv, which is quick, else with pip. Raises InstallError."""
    environment = {**os.environ, "VIRTUAL_ENV": str(VENV), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    pip = [str(PYTHON), "-m", "pip", "install", "--no-input", "--require-hashes", "--no-deps", "-r"]
    failed = run([*pip, str(INSTALLER), "--quiet"], environment)
    if not failed:
        environment = settings_of_pip(environment)
        failed = run([str(VENV / "bin" / "uv"), "pip", "sync", "--require-hashes", str(lock)], environment)
    if failed:
        print_line("    The quick installer did not get through; pip does the same, slower.")
        failed = run([*pip, str(lock), "--progress-bar", "off"], environment)
    if failed:
        raise InstallError(f"The packages could not be installed. Look at the lines above, then start again:\n{failed}")


def ensure(locks: list[Path]) -> None:
    """Make .venv hold the first of `locks`, unless it holds one of them already. Raises InstallError, OSError."""
    if is_ready(locks):
        return
    # The project folder itself is the lock: nothing to clean up, and it goes with the process that holds it.
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print_line("Another start is installing; waiting for it.")
        fcntl.flock(folder, fcntl.LOCK_EX)
        if is_ready(locks):
            return
    since = time.monotonic()
    usable = PYTHON.exists() and not UNFINISHED.exists()
    if usable and STAMP.exists():
        known = json.loads(STAMP.read_text(encoding="utf-8"))
        usable = all(known.get(part) == stamp_of(locks[0])[part] for part in ("python", "path"))
    if VENV.exists() and not usable:
        print_line("Removing an unfinished or outdated .venv.")
        shutil.rmtree(VENV)
    packages = len(NAMED.findall(locks[0].read_text(encoding="utf-8")))
    print_line(f"Installing {packages} packages into .venv (the first time only).")
    if usable:
        UNFINISHED.touch()
        STAMP.unlink(missing_ok=True)
    else:
        make()
    fill(locks[0])
    STAMP.write_text(json.dumps(stamp_of(locks[0])), encoding="utf-8")
    UNFINISHED.unlink()
    print_line(f"Installed in {time.monotonic() - since:.0f} s.")


def main() -> int:
    """0 when .venv is ready, 1 with one line otherwise, 130 for Ctrl-C."""
    try:
        ensure([ROOT / name for name in sys.argv[1:]])
    except InstallError as error:
        print_line(str(error))
        return 1
    except OSError as error:
        advice = "make room there" if error.errno == errno.ENOSPC else "clone the project into a folder of yours"
        print_line(f"Cannot write to {error.filename or ROOT}: {error.strerror}; {advice}.")
        return 1
    except subprocess.CalledProcessError as error:
        print_line(f"This Python could not make an environment ({error}): apt install python3-venv")
        return 1
    except KeyboardInterrupt:
        print_line("Stopped; the next start makes .venv anew.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
