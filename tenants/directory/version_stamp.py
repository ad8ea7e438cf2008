"""How running processes hear that tenants' rows have changed, and where the last good copy of them is kept: Valkey.

`directory:version` is a stamp that only grows: microseconds by Valkey's clock, or one more than the last. Because it
carries the time, a Valkey that lost its data cannot issue a number that a process has already seen. Whoever reads the
stamp and then PostgreSQL holds at least everything that was committed before that stamp was set; hence copies are
ordered by it, and `keep` never replaces a newer copy by an older one.
"""

import logging
import time
from typing import Final

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from tenants import vault
from tenants.directory import snapshot
from tenants.directory.snapshot import Snapshot

log = logging.getLogger(__name__)

VERSION: Final = "directory:version"
COPY: Final = "directory:copy"
CHANNEL: Final = "directory"
# Seconds for Valkey to answer: it is next door, and the caller has something better to do without it.
PATIENCE: Final = 2.0
_PURPOSE: Final = "directory"
_AAD: Final = b"directory copy"

# KEYS: version; ARGV: channel. One step, so that two changes at once cannot end up with one stamp.
_TOUCH: Final = """
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
_KEEP: Final = """
local version = tonumber(redis.call('HGET', KEYS[1], 'version')) or 0
local read_at = tonumber(redis.call('HGET', KEYS[1], 'read_at')) or 0
if version > tonumber(ARGV[1]) or (version == tonumber(ARGV[1]) and read_at > tonumber(ARGV[2])) then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'read_at', ARGV[2], 'sealed', ARGV[3])
return 1
"""


class CopyError(Exception):
    """There is no usable copy; the text says why."""


def connect() -> redis.Redis:
    """A client of its own for the Valkey of the settings, which gives up soon and does not retry by itself."""
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 0),
    )


def touch() -> bool:
    """Tell all processes to read anew; to be called after the commit. False (and a warning in the log) when Valkey
    is away: the change is made all the same, and processes find it once they see Valkey again or within a minute."""
    try:
        with connect() as client:
            client.eval(_TOUCH, 1, VERSION, CHANNEL)
    except redis.RedisError as error:
        log.warning("the change is saved, but Valkey cannot be told (%s): it takes up to a minute to be noticed", error)
        return False
    return True


def current(client: redis.Redis) -> int:
    """The stamp in force; starts one when there is none. Raises redis.RedisError."""
    value = client.get(VERSION)
    if value is None:
        client.set(VERSION, time.time_ns() // 1000, nx=True)
        value = client.get(VERSION)
    return as_number(value)


def as_number(value: object) -> int:
    """A stamp as Valkey returns it; 0 when it is missing or no number, which no directory ever has."""
    return int(value) if isinstance(value, bytes) and value.isdigit() else 0


def keep(client: redis.Redis, fresh: Snapshot) -> bool:
    """Keep a sealed copy; False when a newer one is there already. Raises redis.RedisError or VaultError."""
    sealed = vault.queue_cipher(_PURPOSE).seal_bytes(snapshot.encode(fresh), _AAD)
    return bool(client.eval(_KEEP, 1, COPY, str(fresh.version), f"{fresh.read_at:.6f}", sealed))


def copy(client: redis.Redis) -> Snapshot:
    """The last good copy. Raises CopyError, or redis.RedisError."""
    sealed = client.hget(COPY, "sealed")
    if not isinstance(sealed, bytes):
        raise CopyError("Valkey holds no copy of the directory")
    try:
        return snapshot.decode(vault.queue_cipher(_PURPOSE).open_bytes(sealed, _AAD))
    except (vault.VaultError, ValueError) as error:
        raise CopyError(f"Valkey's copy of the directory cannot be used: {error}") from error
