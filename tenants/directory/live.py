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


class Directory(Lookup):
    """A Lookup that knows where its contents come from."""

    def load(self) -> str:
        """Read now, blocking: for a process that has no event loop yet (there, `follow` does it).

        Returns the source, "postgres" or "copy". Raises DirectoryError when there is neither and nothing was known.
        """
        with version_stamp.connect() as client:
            version, valkey_trouble = 0, ""
            try:
                version = version_stamp.current(client)
            except redis.RedisError as error:
                valkey_trouble = f"Valkey cannot be reached ({_brief(error)})"
            installed = self.installed
            try:
                fresh = snapshot.read(version)
            except DatabaseError as error:
                trouble = f"PostgreSQL cannot be read ({_brief(error)})"
                return self._take_copy(client, "; ".join(filter(None, (trouble, valkey_trouble))))
            if self.installed != installed and version < self.version:
                # PostgreSQL kept us waiting, and meanwhile a newer copy was taken: the next reading will tell.
                return self.source
            self.install(fresh, "postgres")
            self.fresh_at = time.time()
            self.problem = valkey_trouble or _keep(client, fresh)
            return self.source

    def load_copy(self, trouble: str) -> str:
        """Take Valkey's copy if it is newer than what is known; `trouble` says why it is needed. Else as `load`."""
        with version_stamp.connect() as client:
            return self._take_copy(client, trouble)

    async def follow(self) -> None:
        """Fill the directory and keep it fresh until cancelled; nothing but the cancellation comes out of it.

        A change that was told by `version_stamp.touch` is in force here within two seconds.
        """
        await following.follow(self, self.load, self.load_copy)

    def _take_copy(self, client: redis.Redis, trouble: str) -> str:
        try:
            copy = version_stamp.copy(client)
        except (redis.RedisError, version_stamp.CopyError) as error:
            self.problem = f"{trouble}; {_brief(error)}"
            if not self.ready:
                raise DirectoryError(self.problem) from error
        else:
            self.problem = trouble
            if not self.ready or (copy.version, copy.read_at) > (self.version, self.read_at):
                self.install(copy, "copy")
                self.fresh_at = copy.read_at
        return self.source


def _keep(client: redis.Redis, fresh: snapshot.Snapshot) -> str:
    """Keep a copy; what went wrong, "" when nothing did. Without one a start without PostgreSQL would know nobody."""
    try:
        version_stamp.keep(client, fresh)
    except (redis.RedisError, vault.VaultError) as error:
        return f"no copy of the directory can be kept in Valkey ({_brief(error)})"
    return ""


def _brief(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


DIRECTORY: Final = Directory()
