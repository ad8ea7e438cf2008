"""The read model of the hot path: filled from PostgreSQL, else from the sealed copy in Valkey, and kept fresh.

Every process has one, `DIRECTORY`. No news means that the last word holds: neither a PostgreSQL nor a Valkey that is
away empties it. What is older never takes the place of what is newer, neither here nor in Valkey.
"""

import time
from typing import Final

import redis
from django.db import Error as DatabaseError

from tenants import vault
from tenants.directory import following, snapshot, version_stamp
from tenants.directory.lookup import DirectoryError, Lookup
from tenants.problem import first_line


class Directory(Lookup):
    """The directory: a Lookup that loads itself from PostgreSQL, else from the cached copy, and refreshes itself."""

    def load(self) -> str:
        """Load now, blocking: for a process that has no event loop yet (there, `follow` does it).

        Returns the source, "postgres" or "copy". Raises DirectoryError when there is neither and nothing was known.
        """
        with version_stamp.connect() as client:
            version, valkey_problem = 0, ""
            try:
                version = version_stamp.current(client)
            except redis.RedisError as error:
                valkey_problem = f"Valkey cannot be reached ({first_line(error)[:200]})"
            installed = self.installed
            try:
                fresh = snapshot.read(version)
            except DatabaseError as error:
                reason = f"PostgreSQL cannot be read ({first_line(error)[:200]})"
                return self._install_copy(client, "; ".join(filter(None, (reason, valkey_problem))))
            if self.installed != installed and version < self.version:
                # PostgreSQL kept us waiting, and meanwhile a newer copy was taken: the next reading will tell.
                return self.source
            self.install(fresh, "postgres")
            self.fresh_at = time.time()
            self.problem = valkey_problem or _store_copy(client, fresh)
            return self.source

    def load_copy(self, reason: str) -> str:
        """Load Valkey's copy if it is newer than the contents; `reason` says why it is needed. Else as `load`."""
        with version_stamp.connect() as client:
            return self._install_copy(client, reason)

    async def follow(self) -> None:
        """Load the directory and refresh it until cancelled; for supervise(), which restarts it after a fault of ours.

        A change that was published by `version_stamp.bump` is in force here within two seconds.
        """
        await following.follow(self, self.load, self.load_copy)

    def _install_copy(self, client: redis.Redis, reason: str) -> str:
        try:
            copy = version_stamp.load_copy(client)
        except (redis.RedisError, version_stamp.CopyError) as error:
            self.problem = f"{reason}; {first_line(error)[:200]}"
            if not self.ready:
                raise DirectoryError(self.problem) from error
        else:
            self.problem = reason
            if not self.ready or (copy.version, copy.read_at) > (self.version, self.read_at):
                self.install(copy, "copy")
                self.fresh_at = copy.read_at
        return self.source


def _store_copy(client: redis.Redis, fresh: snapshot.Snapshot) -> str:
    """Store the cached copy, by which a start without PostgreSQL knows the keys; returns what went wrong, or ""."""
    try:
        version_stamp.store_copy(client, fresh)
    except (redis.RedisError, vault.VaultError) as error:
        return f"no copy of the directory can be kept in Valkey ({first_line(error)[:200]})"
    return ""


DIRECTORY: Final = Directory()
