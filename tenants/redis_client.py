"""redis-py's client of the Valkey of the settings, for everything off the hot path: it gives up in time, and says so.

redis-py has deadlines of its own since version 8, and retries in some of its constructors: here both are said. The
kernel looks after connections on which nothing is asked (tcp(7), RFC 5482).
"""

import socket
from functools import cache
from typing import Any, Final

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

# Connections that a shared client keeps, at most; as many threads as a process of pages has, and some.
SHARED_MOST: Final = 64
# Schemes of the URLs of Valkey and Redis.
SCHEMES: Final = ("redis", "rediss")
# Seconds: of silence before the kernel probes a peer, and between two probes; milliseconds until what was sent must be
# acknowledged.
KEEPALIVE: Final = {
    socket.TCP_KEEPIDLE: 5,
    socket.TCP_KEEPINTVL: 2,
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: 8_000,
}


def serves(url: str) -> bool:
    """Whether a URL, such as the broker's, is of a Valkey or Redis."""
    return url.startswith(tuple(f"{scheme}://" for scheme in SCHEMES))


def options(timeout: float) -> dict[str, Any]:
    """The options of a client, or a pool of connections, that waits so many seconds for an answer."""
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "socket_keepalive": True,
        "socket_keepalive_options": KEEPALIVE,
    }


def connect(timeout: float) -> redis.Redis:
    """A client of its own, which waits `timeout` seconds for the connection and for each answer, and retries nothing.

    It connects when it is first used, and raises redis.RedisError then.
    """
    return redis.Redis.from_url(settings.REDIS_URL, retry=Retry(NoBackoff(), 0), **options(timeout))


@cache
def shared(url: str, timeout: float) -> redis.Redis:
    """The process's client of the Valkey at this URL, whose connections are kept: for what each page asks.

    Waits as connect()'s; a connection that was kept and has broken meanwhile is made anew, once.
    """
    again = Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,))
    return redis.Redis.from_url(url, retry=again, max_connections=SHARED_MOST, **options(timeout))
