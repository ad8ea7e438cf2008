"""Version stamp and change notification (stream and pub/sub) of the directory in Valkey.

`directory:version` is a stamp that only grows: microseconds by Valkey's clock, or one more than the last. Because it
carries the time, a Valkey that lost its data cannot issue a number that a process has already seen. Whoever reads the
stamp and then PostgreSQL holds at least everything that was committed before that stamp was set.

`directory:changes` says what has changed: an entry for each stamp, which names the stamp before it, so that who holds
a stamp knows whether a change is missing. https://valkey.io/topics/streams-intro/
"""

import logging
import time
from typing import Final, NamedTuple, cast

import redis

from tenants import redis_client

log = logging.getLogger(__name__)

VERSION_KEY: Final = "directory:version"
CHANGES_KEY: Final = "directory:changes"
CHANNEL: Final = "directory"
# Changes that are kept, of about a hundred bytes each: whoever has missed more compares everything.
CHANGES_MAX: Final = 2_000
# Seconds for Valkey to answer: it is next door, and the caller has something better to do without it.
TIMEOUT: Final = 2.0

# KEYS: version, changes; ARGV: channel, customer, key, changes that are kept. One step, so that two changes at once
# cannot end up with one stamp.
_BUMP: Final = """
local now = redis.call('TIME')
local fresh = now[1] * 1000000 + now[2]
local last = tonumber(redis.call('GET', KEYS[1])) or 0
if fresh <= last then fresh = last + 1 end
local text = string.format('%.0f', fresh)
redis.call('SET', KEYS[1], text)
-- A stream never takes an id below its last: one whose clock was set back begins anew.
if redis.pcall('XADD', KEYS[2], 'MAXLEN', ARGV[4], text .. '-0', 'since', string.format('%.0f', last),
        'customer', ARGV[2], 'key', ARGV[3])['err'] then redis.call('DEL', KEYS[2]) end
redis.call('PUBLISH', ARGV[1], text)
return text
"""


class Change(NamedTuple):
    """What was changed: rows of a customer (0: shared apps), or, with `key`, this server key alone. `customer` -1:
    anything."""

    customer: int
    key: int = 0


ANYTHING: Final = Change(-1)


def connect() -> redis.Redis:
    """A client of its own for the Valkey of the settings, which gives up soon and does not retry by itself."""
    return redis_client.connect(TIMEOUT)


def bump(change: Change = ANYTHING) -> bool:
    """Bump the version and publish it, so that all processes read what has changed; call it after the commit. False
    (and a warning in the log) when Valkey is away: the change is made all the same, and processes find it once they see
    Valkey again or within a minute."""
    try:
        with connect() as client:
            client.eval(_BUMP, 2, VERSION_KEY, CHANGES_KEY, CHANNEL, change.customer, change.key, CHANGES_MAX)
    except redis.RedisError as error:
        log.warning("the change is saved, but Valkey cannot be reached (%s): processes reload within a minute", error)
        return False
    return True


def changes_since(client: redis.Redis, version: int) -> tuple[int, set[Change]] | None:
    """What was changed since this stamp, and the stamp of the last of it; None when that is not known. Raises
    redis.RedisError."""
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(CHANGES_KEY, min=f"({version}-0"))
    changes, at = set(), version
    for entry_id, fields in entries:
        if as_number(fields.get(b"since")) != at:
            return None
        at = as_number(entry_id.partition(b"-")[0])
        changes.add(Change(int(fields[b"customer"]), int(fields[b"key"])))
    return None if ANYTHING in changes or at < current(client) else (at, changes)


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
