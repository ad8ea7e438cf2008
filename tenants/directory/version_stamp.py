"""Version stamp, change notification (pub/sub) and cached copy of the directory in Valkey.

`directory:version` is a stamp that only grows: microseconds by Valkey's clock, or one more than the last. Because it
carries the time, a Valkey that lost its data cannot issue a number that a process has already seen. Whoever reads the
stamp and then PostgreSQL holds at least everything that was committed before that stamp was set; hence copies are
ordered by it, and `store_copy` never replaces a newer copy by an older one.
"""

import logging
import time
from typing import Final

import redis

from tenants import redis_client, vault
from tenants.directory import snapshot
from tenants.directory.snapshot import Snapshot

log = logging.getLogger(__name__)

VERSION_KEY: Final = "directory:version"
COPY_KEY: Final = "directory:copy"
CHANNEL: Final = "directory"
# Seconds for Valkey to answer: it is next door, and the caller has something better to do without it.
TIMEOUT: Final = 2.0
_PURPOSE: Final = "directory"
_AAD: Final = b"directory copy"

# KEYS: version; ARGV: channel. One step, so that two changes at once cannot end up with one stamp.
_BUMP: Final = """
local now = redis.call('TIME')
local fresh = now[1] * 1000000 + now[2]
local last = tonumber(redis.call('GET', KEYS[1])) or 0
if fresh <= last then fresh = last + 1 end
local text = string.format('%.0f', fresh)
redis.call('SET', KEYS[1], text)
redis.call('PUBLISH', ARGV[1], text)
return text
"""
# KEYS: copy; ARGV: version, read_at, sealed copy.
_STORE_COPY: Final = """
local version = tonumber(redis.call('HGET', KEYS[1], 'version')) or 0
local read_at = tonumber(redis.call('HGET', KEYS[1], 'read_at')) or 0
if version > tonumber(ARGV[1]) or (version == tonumber(ARGV[1]) and read_at > tonumber(ARGV[2])) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'read_at', ARGV[2], 'sealed', ARGV[3])
return 1
"""


class CopyError(Exception):
    """The cached copy is missing or unusable; the text says why."""


def connect() -> redis.Redis:
    """A client of its own for the Valkey of the settings, which gives up soon and does not retry by itself."""
    return redis_client.connect(TIMEOUT)


def bump() -> bool:
    """Bump the version and publish it, so that all processes reload; call it after the commit. False (and a warning in
    the log) when Valkey is away: the change is made all the same, and processes find it once they see Valkey again or
    within a minute."""
    try:
        with connect() as client:
            client.eval(_BUMP, 1, VERSION_KEY, CHANNEL)
    except redis.RedisError as error:
        log.warning("the change is saved, but Valkey cannot be reached (%s): processes reload within a minute", error)
        return False
    return True


def current(client: redis.Redis) -> int:
    """The current version; initialises it when there is none. Raises redis.RedisError."""
    value = client.get(VERSION_KEY)
    if value is None:
        client.set(VERSION_KEY, time.time_ns() // 1000, nx=True)
        value = client.get(VERSION_KEY)
    return as_number(value)


def as_number(value: object) -> int:
    """Parse a version as Valkey returns it; 0 when it is missing or no number, which no directory ever has."""
    return int(value) if isinstance(value, bytes) and value.isdigit() else 0


def store_copy(client: redis.Redis, fresh: Snapshot) -> bool:
    """Store an encrypted copy; False when a newer one is there already. Raises redis.RedisError or VaultError."""
    sealed = vault.queue_cipher(_PURPOSE).seal_bytes(snapshot.encode(fresh), _AAD)
    return bool(client.eval(_STORE_COPY, 1, COPY_KEY, str(fresh.version), f"{fresh.read_at:.6f}", sealed))


def load_copy(client: redis.Redis) -> Snapshot:
    """Load and decrypt the cached copy. Raises CopyError, or redis.RedisError."""
    sealed = client.hget(COPY_KEY, "sealed")
    if not isinstance(sealed, bytes):
        raise CopyError("Valkey holds no copy of the directory")
    try:
        return snapshot.decode(vault.queue_cipher(_PURPOSE).open_bytes(sealed, _AAD))
    except (vault.VaultError, ValueError) as error:
        raise CopyError(f"Valkey's copy of the directory cannot be used: {error}") from error
