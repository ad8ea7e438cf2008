"""The state folder: everything that a start leaves for the next one, and the lock that keeps two starts apart.

Invariant: a file with a secret is never readable by anybody else, not even while it is being written, and is either the
old one or the new one, never half of one.
"""

import errno
import fcntl
import hashlib
import json
import os
import random
import secrets
import shutil
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpns.local.account import Account
from hpns.local.problem import ProblemError

SHARED_ROOT = Path("/var/tmp")  # noqa: S108 - survives a reboot, and every name below it is checked for its owner
# Below the range from which the system takes ports for outgoing connections, so that none of those is in the way.
PORTS = range(15_000, 30_000)


class Folder:
    """One state folder. Paths are absolute; `servers` is where the servers' account can get at its data."""

    def __init__(self, path: Path, account: Account) -> None:
        """Make the folder if need be. Raises ProblemError where it cannot be made, written or trusted."""
        self.path = path.resolve()
        self.account = account
        self._lock: int | None = None
        # Ports that are free still but promised to somebody.
        self.avoid: set[int] = set()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            # Root's folder must let `nobody` through to the data; what is private in it is private by itself.
            self.path.chmod(0o711 if account.drops else 0o700)
            self.logs.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise ProblemError(
                f"Cannot write to the state folder {path}: {why(error)}. Name another one with --state."
            ) from error
        self.servers = self.path
        if not all(parent.stat().st_mode & stat.S_IXOTH for parent in self.path.parents) and account.drops:
            self.servers = self._shared()

    @property
    def logs(self) -> Path:
        """Where the output of each process goes, one file per process."""
        return self.path / "logs"

    def _shared(self) -> Path:
        """A folder of root's that `nobody` can reach, for a state folder that it cannot (below /root, say)."""
        path = SHARED_ROOT / f"hpns-{hashlib.sha256(bytes(self.path)).hexdigest()[:16]}"
        try:
            path.mkdir(mode=0o711)
        except FileExistsError:
            # Anybody may make a folder there. Only one that is ours and closed to others is trusted.
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
                raise ProblemError(f"{path} is not ours (it belongs to user id {found.st_uid}): remove it.") from None
        # A state folder that was removed and made again has other passwords: the data of the old one is of no use.
        mine = self.secret("shared_id", lambda: secrets.token_hex(16))
        mark = path / "id"
        if not mark.exists() or mark.read_text(encoding="utf-8") != mine:
            shutil.rmtree(path)
            path.mkdir(mode=0o711)
            private(mark, mine)
        path.chmod(0o711)
        return path

    def lock(self) -> None:
        """Take the folder for this process and its descendants' lifetime. Raises ProblemError naming the holder."""
        path = self.path / "lock"
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 32).decode().strip() or "unknown"
            os.close(handle)
            raise ProblemError(
                f"{self.path} is in use by process {holder}: stop it (kill {holder}), or name another folder (--state)."
            ) from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        self._lock = handle

    def read(self, name: str) -> dict[str, Any]:
        """The JSON object in the file `name`, {} where there is none. Raises ProblemError when it is unreadable."""
        path = self.path / name
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ProblemError(f"{path} cannot be read ({error}): restore it, or remove the state folder.") from error
        if not isinstance(value, dict):
            raise ProblemError(f"{path} holds no JSON object: restore it, or remove the state folder.")
        return value

    def write(self, name: str, value: dict[str, Any]) -> None:
        """Replace the JSON file `name` as a whole, readable by its owner alone."""
        private(self.path / name, json.dumps(value, indent=2) + "\n")

    def secret(self, name: str, make: Callable[[], str]) -> str:
        """The secret `name`, made by `make` the first time and the same ever after."""
        known = self.read("secrets.json")
        if name not in known:
            known[name] = make()
            self.write("secrets.json", known)
        return str(known[name])

    def port(self, name: str, preferred: int = 0) -> int:
        """A free port of 127.0.0.1 for `name`: that of the last start (`preferred` at first) if it is free."""
        known = self.read("ports.json")
        port = int(known.get(name, preferred))
        taken = set(known.values())
        while not port or port in self.avoid or not free(port):
            candidate = random.choice(PORTS)  # noqa: S311 - not a secret
            port = 0 if candidate in taken else candidate
        if known.get(name) != port:
            self.write("ports.json", {**known, name: port})
        return port


def free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on `port` of `host` now."""
    with socket.socket() as probe:
        # As servers do: connections of the last start that linger in TIME_WAIT are not in the way.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError:
            return False
    return True


def private(path: Path, text: str, account: Account | None = None) -> None:
    """Write `text` to `path` in one step, mode 0600, owned by `account` (default: by us)."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(handle)
    if account:
        account.own(temporary)
    temporary.replace(path)


def why(error: OSError) -> str:
    """The reason of an OSError in words for a person."""
    if error.errno == errno.ENOSPC:
        return "the disk is full"
    return error.strerror or str(error)
