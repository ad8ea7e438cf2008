"""What the tests of this app share: a Valkey database of their own, and servers that can be made to go away."""

import os
import selectors
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis
from django.db import connections
from pytest_django import Settings


class Relay:
    """A TCP port in front of a server: `refuse` closes it, `hush` lets bytes in but none through, `serve` undoes both."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._open = threading.Event()
        self._listener = self._listen(0)
        self.port: int = self._listener.getsockname()[1]
        self.serve()

    def serve(self) -> None:
        if self._listener.fileno() == -1:
            self._listener = self._listen(self.port)
        if not self._open.is_set():
            self._open.set()
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def refuse(self) -> None:
        self._open.clear()
        self._listener.close()
        self._drop()

    def hush(self) -> None:
        """Connections are taken by the kernel and stay unanswered, as behind a firewall that drops packets."""
        self._open.clear()
        with socket.create_connection(("127.0.0.1", self.port)):
            pass  # wakes the accepting thread, which sees that it is over
        self._drop()

    def _listen(self, port: int) -> socket.socket:
        listener = socket.create_server(("127.0.0.1", port))
        return listener

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            if not self._open.is_set():
                near.close()
                return
            far = socket.create_connection(self._target)
            self._pairs.append((near, far))
            threading.Thread(target=_pump, args=(near, far), daemon=True).start()

    def _drop(self) -> None:
        for pair in self._pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        self._pairs.clear()


def _pump(near: socket.socket, far: socket.socket) -> None:
    other = {near: far, far: near}
    with selectors.DefaultSelector() as selector, near, far:
        for end in other:
            selector.register(end, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                end: socket.socket = key.fileobj  # type: ignore[assignment]
                try:
                    data = end.recv(65536)
                    if not data:
                        return
                    other[end].sendall(data)
                except OSError:
                    return


@pytest.fixture
def valkey(settings: Settings) -> Iterator[redis.Redis]:
    """An empty database of the real Valkey, one per test process; settings.REDIS_URL names it."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    settings.REDIS_URL = urlsplit(settings.REDIS_URL)._replace(path=f"/{8 + int(worker) % 8}").geturl()
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.flushdb()
        yield client
        client.flushdb()


@pytest.fixture
def valkey_relay(valkey: redis.Redis, settings: Settings) -> Iterator[Relay]:
    """The road to Valkey; `valkey` itself keeps its own."""
    url = urlsplit(settings.REDIS_URL)
    relay = Relay(url.hostname or "", url.port or 6379)
    settings.REDIS_URL = url._replace(netloc=f":{url.password or ''}@127.0.0.1:{relay.port}").geturl()
    yield relay
    relay.refuse()


@pytest.fixture
def postgres_relay(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """The road to PostgreSQL for connections made from now on; the test's own connection keeps its own."""
    connection = connections["default"]
    connection.ensure_connection()
    values = connections.settings["default"]
    relay = Relay(values["HOST"], int(values["PORT"] or 5432))
    # Connections of other threads are made of these values; this thread's connection exists already.
    monkeypatch.setitem(values, "HOST", "127.0.0.1")
    monkeypatch.setitem(values, "PORT", str(relay.port))
    yield relay
    relay.serve()
    relay.refuse()
