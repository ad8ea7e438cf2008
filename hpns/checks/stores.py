"""System checks that ask the servers: run by `manage.py check --deploy --database default`."""

from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import redis
from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.db import Error as DatabaseError
from django.db import connections

from tenants import redis_client

# BLMPOP, by which answers come back, is of 7.0. https://valkey.io/commands/blmpop/
OLDEST_VALKEY: Final = 7
# What Django 5.2 takes. https://docs.djangoproject.com/en/5.2/ref/databases/#postgresql-notes
OLDEST_POSTGRES: Final = 140000
TIMEOUT: Final = 3.0


def postgres_is_fit(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """E030: no answer; E031: too old."""
    return [message for alias in databases or () for message in _postgres(alias)]


def _postgres(alias: str) -> Iterator[CheckMessage]:
    try:
        with connections[alias].cursor() as cursor:
            cursor.execute("SHOW server_version_num")
            version = int(cursor.fetchone()[0])
    except DatabaseError as error:
        hint = "Is it running, and are DATABASE_URL's host, port, user and password right?"
        yield Error(f"PostgreSQL does not answer ({type(error).__name__}).", hint=hint, id="hpns.E030")
        return
    if version < OLDEST_POSTGRES:
        text = f"This is PostgreSQL {version // 10000}; {OLDEST_POSTGRES // 10000} is the oldest that will do."
        yield Error(text, hint="Update it; 16 or later is a good choice.", id="hpns.E031")


def valkey_is_durable(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """For a deployment. E032: no answer; E033: too old; E034: it may throw pushes away; W030, W032: it may lose them;
    W031: it may grow without a bound."""
    if not databases:  # Django runs all checks and leaves it to them not to ask servers
        return []
    try:
        with redis_client.connect(TIMEOUT) as valkey:
            info = valkey.info("everything")
    except (redis.RedisError, ValueError) as error:
        hint = "Is it running, and are REDIS_URL's host, port and password right?"
        return [Error(f"Valkey does not answer ({type(error).__name__}).", hint=hint, id="hpns.E032")]
    return [*check_info(info), *_socket(info["run_id"])]


def _socket(run_id: str) -> Iterator[CheckMessage]:
    """E038: REDIS_SOCKET is of no server, or of another one than REDIS_URL, whose run has this id."""
    if not settings.REDIS_SOCKET:
        return
    parts = urlsplit(settings.REDIS_URL)
    user, password = parts.username or None, unquote(parts.password or "") or None
    try:
        with redis.Redis(
            unix_socket_path=settings.REDIS_SOCKET, username=user, password=password, socket_timeout=TIMEOUT
        ) as there:
            found = there.info("server")["run_id"]
    except (redis.RedisError, OSError) as error:
        text = f"No Valkey answers at REDIS_SOCKET ({type(error).__name__})."
        yield Error(text, hint="Is its path right, and may this user open it? Else leave it empty.", id="hpns.E038")
        return
    if found != run_id:
        text = (
            "REDIS_SOCKET is another Valkey's than REDIS_URL: pushes would go into one, and be looked for in the other."
        )
        yield Error(text, hint="Name the socket of the same server, or leave it empty.", id="hpns.E038")


def check_info(info: dict[str, Any]) -> Iterator[CheckMessage]:
    """Check messages on a Valkey or Redis whose INFO is `info`."""
    version = str(info.get("redis_version", "0"))
    if int(version.partition(".")[0]) < OLDEST_VALKEY:
        text = f"The server at REDIS_URL speaks the language of version {version}; {OLDEST_VALKEY}.0 is needed."
        yield Error(text, hint="Use Valkey 7.2 or later.", id="hpns.E033")
    policy = str(info.get("maxmemory_policy", "noeviction"))
    if policy != "noeviction":
        text = f"Valkey's maxmemory-policy is {policy}: out of memory, it would throw accepted pushes away."
        yield Error(text, hint="Set maxmemory-policy noeviction.", id="hpns.E034")
    if not info.get("aof_enabled"):
        text = (
            "Valkey keeps no append-only file: a restart of it loses what waits in it, and so a push that has no "
            "result within PUSH_DEADLINE is told FAIL."
        )
        yield Caution(text, hint="Set appendonly yes, and appendfsync everysec.", id="hpns.W030")
    if not info.get("maxmemory"):
        text = "Valkey has no maxmemory: a queue that nobody empties grows until the machine's memory is full."
        yield Caution(text, hint="Set maxmemory, such as 1gb: pushes are refused well before.", id="hpns.W031")
    if info.get("connected_slaves") and "min_slaves_good_slaves" not in info:
        text = (
            "A replica follows Valkey, and Valkey takes pushes without one, too: while none follows, nobody knows that "
            "one has to, and what was told OK is lost when one that was away takes its place."
        )
        yield Caution(text, hint="Set min-replicas-to-write 1 on each of them.", id="hpns.W032")
