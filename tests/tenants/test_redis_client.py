"""Whoever asks Valkey by redis-py gives up in time when it says nothing."""

import ast
import time
from pathlib import Path

import pytest
import redis
from django.core.cache import caches
from pytest_django import Settings

from tenants import redis_client
from tests.stage import ROOT
from tests.tenants.relay import Relay

SILENCE = 0.3
"""Seconds that the clients here wait; each test allows for far more, and for far less than retries would take."""


def test_a_client_waits_no_longer_than_it_says_and_does_not_ask_again(valkey_relay: Relay) -> None:
    with redis_client.connect(SILENCE) as client:
        assert client.ping()
        valkey_relay.mute()
        started = time.monotonic()
        with pytest.raises(redis.TimeoutError):
            client.ping()
        assert time.monotonic() - started < 2
        assert client.ping()  # on a new connection


def test_the_kernel_looks_after_a_client_that_asks_nothing(valkey_relay: Relay) -> None:
    with redis_client.connect(SILENCE) as client:
        client.ping()
        connection = client.connection_pool.get_connection()
        for option, value in redis_client.KEEPALIVE.items():
            assert connection._sock.getsockopt(redis_client.socket.IPPROTO_TCP, option) == value
        client.connection_pool.release(connection)


def test_pages_wait_for_their_cache_no_longer_than_that(valkey_relay: Relay, settings: Settings) -> None:
    cache = settings.CACHES["default"]
    assert 0 < cache["OPTIONS"]["socket_timeout"] <= 2
    assert 0 < cache["OPTIONS"]["socket_connect_timeout"] <= 2
    assert caches.settings["default"]["OPTIONS"] == cache["OPTIONS"]


def test_every_client_of_the_product_has_its_deadlines() -> None:
    """Each call of redis-py's from_url() names them or takes them from tenants/redis_client.py."""
    calls = [
        (path.relative_to(ROOT), call)
        for app in ("billing", "delivery", "hpns", "tenants")
        for path in sorted((ROOT / app).rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "from_url"
    ]
    assert Path("tenants/redis_client.py") in {path for path, _ in calls}
    for path, call in calls:
        named = {keyword.arg for keyword in call.keywords}
        shared = [keyword.value for keyword in call.keywords if keyword.arg is None]
        given = any("options(" in ast.unparse(value) for value in shared)
        assert given or {"socket_timeout", "socket_connect_timeout"} <= named, f"{path}:{call.lineno}"


def test_a_connection_of_the_shared_client_that_has_broken_is_made_anew(
    valkey: redis.Redis, settings: Settings
) -> None:
    shared = redis_client.shared(settings.REDIS_URL, 1.0)
    assert shared is redis_client.shared(settings.REDIS_URL, 1.0)
    first = shared.client_id()
    assert shared.client_id() == first, "it is kept"
    valkey.client_kill_filter(_id=first)
    assert shared.client_id() != first
