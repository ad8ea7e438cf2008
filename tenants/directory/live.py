"""The read model of the hot path: filled from PostgreSQL, else from the sealed copy in Valkey, and kept fresh.

Every process has one, `DIRECTORY`. No news means that the last word holds: neither a PostgreSQL nor a Valkey that is
away empties it. What is older never takes the place of what is newer, neither here nor in Valkey. Everything is read
once; from then on a change costs what has changed, and the whole is only compared, by fingerprints.
"""

import time
from collections.abc import Collection
from typing import Final

import redis
from django.db import Error as DatabaseError

from tenants import vault
from tenants.directory import fingerprints, following, kept_copy, reading, version_stamp
from tenants.directory.lookup import DirectoryError, Lookup
from tenants.directory.snapshot import Part
from tenants.directory.version_stamp import Change
from tenants.problem import first_line

# Customers of whom no more are read one by one: everything is.
PARTS_AT_ONCE: Final = 500


class Directory(Lookup):
    """The directory: a Lookup that loads itself from PostgreSQL, else from the cached copy, and refreshes itself."""

    def __init__(self) -> None:
        super().__init__()
        # Of customers as they were read, for the next comparison; those that have changed since are not in it.
        self._fingerprints: dict[int, int] = {}

    def load(self) -> str:
        """Compare everything with PostgreSQL and read what is other, blocking; the first time that is everything.

        Returns the source, "postgres" or "copy". Raises DirectoryError when there is neither and nothing was known.
        """
        return self._refresh(whole=True)

    def update(self) -> str:
        """Read what has changed since the stamp that is known, by what Valkey says of it; else as load()."""
        return self._refresh(whole=False)

    def load_copy(self, reason: str) -> str:
        """Load Valkey's copy if it is newer than the contents; `reason` says why it is needed. Else as `load`."""
        with version_stamp.connect() as client:
            return self._install_copy(client, reason)

    async def follow(self, read_stamp: following.ReadStamp | None = None) -> None:
        """Load the directory and refresh it until cancelled; for supervise(), which restarts it after a fault of ours.

        read_stamp: reads the version stamp each second, where the process has a cheaper way to Valkey than redis-py.
        A change that was published by `version_stamp.bump` is in force here within two seconds.
        """
        await following.follow(self, read_stamp)

    def _refresh(self, *, whole: bool) -> str:
        with version_stamp.connect() as client:
            version, changes, valkey_problem = 0, None, ""
            try:
                if not whole and self.source == "postgres" and self.version:
                    changes = version_stamp.changes_since(client, self.version)
                version = version_stamp.current(client) if changes is None else changes[0]
            except redis.RedisError as error:
                valkey_problem = f"Valkey cannot be reached ({first_line(error)[:200]})"
            try:
                if changes is not None:
                    problem = self._read_changes(client, version, changes[1])
                else:
                    problem = self._compare(client, version)
            except DatabaseError as error:
                reason = f"PostgreSQL cannot be read ({first_line(error)[:200]})"
                return self._install_copy(client, "; ".join(filter(None, (reason, valkey_problem))))
            if problem is not None:
                self.fresh_at = time.time()
                self.problem = valkey_problem or problem
            return self.source

    def _compare(self, client: redis.Redis, version: int) -> str | None:
        """Read what is other than it was; the problem with the copy in Valkey. None: a newer copy was taken meanwhile,
        as PostgreSQL kept us waiting, and the next reading will tell."""
        installed = self.installed
        # Read first: what changes while we read the rows is other the next time as well.
        prints = fingerprints.read()
        known = self._fingerprints if self.source == "postgres" else {}
        changed = {each for each in prints.keys() | known.keys() if prints.get(each) != known.get(each)}
        if self.source == "postgres" and len(changed) <= PARTS_AT_ONCE:
            if changed:
                problem = self._read_part(client, version, changed, ())
            elif version:
                problem = self._keep_copy(client)
            else:
                problem = ""
            if problem is not None:
                self.version = max(version, self.version)
        else:
            fresh = reading.read(version)
            if self.installed != installed and version < self.version:
                return None
            self.install(fresh, "postgres")
            problem = self._store_copy(client)
        self._fingerprints = prints
        return problem

    def _read_changes(self, client: redis.Redis, version: int, changes: Collection[Change]) -> str | None:
        customers = {each.customer for each in changes if not each.key}
        keys = {each.key for each in changes if each.key and each.customer not in customers}
        for each in changes:
            self._fingerprints.pop(each.customer, None)
        return self._read_part(client, version, customers, keys)

    def _read_part(
        self, client: redis.Redis, version: int, customers: Collection[int], keys: Collection[int]
    ) -> str | None:
        installed, known = self.installed, {each for each in customers if self.knows(each)}
        part = reading.read_part(self.version, version, customers, keys, self.listed_ids(customers))
        if self.installed != installed:
            return None
        changed = self.apply(part)
        if not changed and part.since >= part.version:
            return ""
        # Of a customer that was erased nothing may stay in the copy.
        gone = any(not self.knows(each) for each in known)
        return self._store_copy(client) if gone else self._keep_copy(client, part)

    def _keep_copy(self, client: redis.Redis, part: Part | None = None) -> str:
        try:
            if not kept_copy.is_old(client) and (part is None or kept_copy.store_part(client, part)):
                return ""
        except (redis.RedisError, vault.VaultError) as error:
            return _no_copy(error)
        return self._store_copy(client)

    def _store_copy(self, client: redis.Redis) -> str:
        """Store the cached copy, by which a start without PostgreSQL knows the keys; returns what went wrong, or ""."""
        try:
            kept_copy.store_copy(client, self.contents())
        except (redis.RedisError, vault.VaultError) as error:
            return _no_copy(error)
        return ""

    def _install_copy(self, client: redis.Redis, reason: str) -> str:
        try:
            copy = kept_copy.load_copy(client)
            parts = kept_copy.load_parts(client, copy.version)
        except (redis.RedisError, kept_copy.CopyError) as error:
            self.problem = f"{reason}; {first_line(error)[:200]}"
            if not self.ready:
                raise DirectoryError(self.problem) from error
        else:
            self.problem = reason
            newest = parts[-1] if parts else copy
            if not self.ready or (newest.version, newest.read_at) > (self.version, self.read_at):
                self.install(copy, "copy")
                for part in parts:
                    self.apply(part)
                self.fresh_at = newest.read_at
        return self.source


def _no_copy(error: Exception) -> str:
    return f"no copy of the directory can be kept in Valkey ({first_line(error)[:200]})"


DIRECTORY: Final = Directory()
