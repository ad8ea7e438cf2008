"""Counts behind the REMOVE fuse, shared by all processes through Valkey: distinct tokens of a customer and credential.

Accepted tokens are counted by HyperLogLogs of BUCKET seconds, of which the last BUCKETS are the window: so there are
never more than within the window. Tokens that would be removed are sorted sets by time, of at most MOST. All of them
lapse. Invariant: a token is in Valkey as a keyed hash of eight bytes, from which nobody gets it back.
"""

import hashlib
from collections.abc import Collection
from functools import lru_cache
from typing import Any, Final, NamedTuple

from delivery.outcomes.removal import MOST, WINDOW, Counts
from delivery.queue import valkey

Pair = tuple[int, int]
"""A customer and a credential, by their ids."""
BUCKETS: Final = 5
BUCKET: Final = WINDOW / BUCKETS
# Seconds for which it is remembered that a token was doubted before, and how many of them a process is told.
DOUBTED: Final = 24 * 3600
TOLD: Final = 200

# Adds tokens, and gives what there is: accepted, gone, doubtful, and when the latest doubtful ones came first.
_LOOK: Final = f"""
local now, gone = tonumber(ARGV[1]), tonumber(ARGV[2])
for i = 3, #ARGV do
  if i <= 2 + gone then
    redis.call('ZADD', KEYS[1], now, ARGV[i])
  else
    redis.call('ZADD', KEYS[2], now, ARGV[i])
    redis.call('ZADD', KEYS[3], 'NX', now, ARGV[i])
  end
end
for i, kept in ipairs({{{WINDOW}, {WINDOW}, {DOUBTED}}}) do
  redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', now - kept)
  redis.call('ZREMRANGEBYRANK', KEYS[i], 0, -{MOST + 1})
  redis.call('EXPIRE', KEYS[i], kept)
end
return {{redis.call('PFCOUNT', unpack(KEYS, 4)), redis.call('ZCARD', KEYS[1]), redis.call('ZCARD', KEYS[2]),
  redis.call('ZREVRANGE', KEYS[3], 0, {TOLD - 1}, 'WITHSCORES')}}
"""


class Look(NamedTuple):
    """What all processes have counted, and when the latest of the doubtful tokens were first doubted (unix seconds)."""

    counts: Counts
    first: dict[bytes, float]


def token_hash(device_id: str, hash_key: bytes) -> bytes:
    """A keyed hash of a device token, of eight bytes."""
    hashed = _keyed(hash_key).copy()
    hashed.update(device_id.encode("utf-8", "replace"))
    return hashed.digest()


@lru_cache(maxsize=8)
def _keyed(hash_key: bytes) -> "hashlib.blake2b":
    return hashlib.blake2b(digest_size=8, key=hash_key[:64], person=b"remove")


def _accepted(pair: Pair, bucket: int) -> str:
    return f"remove:{pair[0]}:{pair[1]}:accepted:{bucket}"


def adding(pair: Pair, tokens: Collection[bytes], now: float) -> bytes:
    """The two packed commands that count accepted tokens."""
    key = _accepted(pair, int(now // BUCKET))
    return valkey.pack(("PFADD", key, *tokens)) + valkey.pack(("EXPIRE", key, str(int(WINDOW + BUCKET))))


def look(pair: Pair, gone: Collection[bytes], doubtful: Collection[bytes], now: float) -> tuple[Any, ...]:
    """The command that adds tokens which would be removed and gives what there is, for parse()."""
    bucket = int(now // BUCKET)
    keys = [f"remove:{pair[0]}:{pair[1]}:{name}" for name in ("gone", "doubtful", "first")]
    keys += [_accepted(pair, bucket - age) for age in range(BUCKETS)]
    return ("EVAL", _LOOK, str(len(keys)), *keys, f"{now:.3f}", str(len(gone)), *gone, *doubtful)


def parse(reply: Any) -> Look:
    """The answer to look()."""
    accepted, gone, doubtful, first = reply
    return Look(Counts(accepted, gone, doubtful), dict(zip(first[::2], map(float, first[1::2]), strict=True)))
