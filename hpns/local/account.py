"""User account of the embedded servers: never root, because PostgreSQL refuses and Valkey need not.

Invariant: started by root, a server runs as `nobody` with no supplementary groups; started by an ordinary user it runs
as that user.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from hpns.local.problem import ProblemError

UNPRIVILEGED = "nobody"


@dataclass(frozen=True, slots=True)
class Account:
    """A user id and group id; `drops` is true where a child has to change to them because we are root."""

    uid: int
    gid: int
    drops: bool

    def own(self, path: Path) -> None:
        """Make `path` belong to this account; nothing to do where it is the account we run under."""
        if self.drops:
            os.chown(path, self.uid, self.gid)

    def reaches(self, path: Path) -> bool:
        """Whether this account can walk to `path` and read it: a folder above it may be closed (a home, /root)."""
        if not self.drops:
            return True
        readable = path.stat().st_mode & stat.S_IROTH
        return bool(readable) and all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)


def for_servers() -> Account:
    """The account for PostgreSQL and Valkey: ours, or `nobody` when we are root. Raises ProblemError without one."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), drops=False)
    try:
        entry = pwd.getpwnam(UNPRIVILEGED)
    except KeyError:
        raise ProblemError(
            f"PostgreSQL does not run as root and there is no user '{UNPRIVILEGED}' here: start as an ordinary user."
        ) from None
    return Account(entry.pw_uid, entry.pw_gid, drops=True)
