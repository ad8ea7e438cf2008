"""Cached copy of the directory in Valkey, encrypted: by it a process that starts without PostgreSQL knows the keys.

A copy is a snapshot and the parts that have come since; once these are many, or the snapshot is old, a new one takes
their place. Both are ordered by the version stamp, and neither is ever replaced by an older one. A part that is missing
makes the copy older, never wrong: what comes after it is not taken.
"""

import time
from typing import Final, cast

import redis

from tenants import vault
from tenants.directory import snapshot
from tenants.directory.snapshot import Part, Snapshot

COPY_KEY: Final = "directory:copy"
PARTS_KEY: Final = "directory:parts"
# Parts that are kept, and bytes of one that is kept as such: 64 MB in all at the very most.
PARTS_MAX: Final = 512
PART_MAX: Final = 128 * 1024
# Seconds until a snapshot is made anew: what parts have taken away, such as credentials, is in it until then.
SNAPSHOT_AGE_MAX: Final = 3600.0
_PURPOSE: Final = "directory"
_AAD: Final = b"directory copy"
_PART_AAD: Final = b"directory part"

# KEYS: copy, parts; ARGV: version, read_at, sealed copy. Parts that are in the copy go.
_STORE_COPY: Final = """
local version = tonumber(redis.call('HGET', KEYS[1], 'version')) or 0
local read_at = tonumber(redis.call('HGET', KEYS[1], 'read_at')) or 0
if version > tonumber(ARGV[1]) or (version == tonumber(ARGV[1]) and read_at > tonumber(ARGV[2])) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'read_at', ARGV[2], 'sealed', ARGV[3])
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
    if tonumber(field) <= tonumber(ARGV[1]) then redis.call('HDEL', KEYS[2], field) end
end
return 1
"""
# KEYS: copy, parts; ARGV: version, sealed part, parts that are kept. 0: a whole copy is needed in its place.
_STORE_PART: Final = """
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[3]) then return 0 end
redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2])
return 1
"""


class CopyError(Exception):
    """The cached copy is missing or unusable; the text says why."""


def store_copy(client: redis.Redis, fresh: Snapshot) -> bool:
    """Store an encrypted copy; False when a newer one is there already. Raises redis.RedisError or VaultError."""
    sealed = vault.queue_cipher(_PURPOSE).seal_bytes(snapshot.encode(fresh), _AAD)
    stored = client.eval(_STORE_COPY, 2, COPY_KEY, PARTS_KEY, str(fresh.version), f"{fresh.read_at:.6f}", sealed)
    return bool(stored)


def store_part(client: redis.Redis, part: Part) -> bool:
    """Store what has changed, encrypted; False when a whole copy has to be stored instead. Raises as store_copy()."""
    plain = snapshot.encode(part)
    if len(plain) > PART_MAX or part.since >= part.version:
        return False
    sealed = vault.queue_cipher(_PURPOSE).seal_bytes(plain, _PART_AAD)
    return bool(client.eval(_STORE_PART, 2, COPY_KEY, PARTS_KEY, str(part.version), sealed, PARTS_MAX))


def is_old(client: redis.Redis) -> bool:
    """Whether a snapshot has to be stored anew, also because there is none. Raises redis.RedisError."""
    read_at = client.hget(COPY_KEY, "read_at")
    return not isinstance(read_at, bytes) or float(read_at) < time.time() - SNAPSHOT_AGE_MAX


def load_copy(client: redis.Redis) -> Snapshot:
    """Load and decrypt the cached snapshot. Raises CopyError, or redis.RedisError."""
    sealed = client.hget(COPY_KEY, "sealed")
    if not isinstance(sealed, bytes):
        raise CopyError("Valkey holds no copy of the directory")
    try:
        return snapshot.decode(vault.queue_cipher(_PURPOSE).open_bytes(sealed, _AAD))
    except (vault.VaultError, ValueError) as error:
        raise CopyError(f"Valkey's copy of the directory cannot be used: {error}") from error


def load_parts(client: redis.Redis, version: int) -> list[Part]:
    """What has come after a snapshot of this version, in order and without a gap. Raises as load_copy()."""
    cipher = vault.queue_cipher(_PURPOSE)
    rows = cast("dict[bytes, bytes]", client.hgetall(PARTS_KEY))
    found: list[Part] = []
    try:
        for _, sealed in sorted((int(field), sealed) for field, sealed in rows.items()):
            part = snapshot.decode_part(cipher.open_bytes(sealed, _PART_AAD))
            if part.since <= version < part.version:
                found.append(part)
                version = part.version
    except (vault.VaultError, ValueError) as error:
        raise CopyError(f"Valkey's copy of the directory cannot be used: {error}") from error
    return found
