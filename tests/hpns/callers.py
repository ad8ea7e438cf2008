"""Many Mattermost servers at once, for the tests that count lost requests.

They call as Go's HTTP client does for Mattermost (HTTP/1.1, no ALPN, no resumption of a TLS session): on connections
that are kept, on ones that are kept and idle for a while, and on fresh ones; quick requests, and slow ones that wait
for their deadline. Invariant: every request ends in exactly one of the three counts.
"""

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from functools import partial

from tests.hpns.web_server import ACK, PUSH, Server, request
from tests.waiting import PATIENCE

OK = {"status": "OK"}
BREATH = 0.02
"""Seconds between the requests of a quick caller: together they send one every few milliseconds, and leave the
processor to the processes that are being changed."""


class Callers:
    """Begins at once; `stop` returns when each has its last answer.

    answered: true answers; refused: connections that did not come about, so that nothing was sent; lost: everything
    else; certificates: what was shown to the connections that have been made.
    """

    def __init__(self, web: Server, fresh: int = 4, kept: int = 3, idle: int = 4, slow: int = 6) -> None:
        self.web = web
        self.answered, self.refused = 0, 0
        self.lost: list[str] = []
        self.certificates: set[bytes] = set()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        key = web.stores.key
        ack = request(f"/t/{key}/api/v1/ack", ACK, close=False)
        push = request(f"/t/{key}/api/v1/send_push", PUSH, close=False)
        kinds: list[tuple[int, Callable[[], None]]] = [
            (fresh, partial(self._call, ack, keep=False, pause=BREATH)),
            (kept, partial(self._call, ack, keep=True, pause=BREATH)),
            (idle, partial(self._call, ack, keep=True, pause=0.1)),
            (slow, partial(self._call, push, keep=True)),
            (slow, partial(self._call, push, keep=False)),
        ]
        self._threads = [threading.Thread(target=run, daemon=True) for count, run in kinds for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _call(self, message: bytes, *, keep: bool, pause: float = 0.0) -> None:
        connection = None
        while not self._stopping.is_set():
            try:
                if connection is None:
                    connection = self._connect()
                    if connection is None:
                        continue
                connection.sendall(message)
                answer = http.client.HTTPResponse(connection)
                answer.begin()
                received = answer.status, json.loads(answer.read())
                if received == (200, OK):
                    with self._lock:
                        self.answered += 1
                else:
                    self.lost.append(repr(received))
                if not keep or answer.getheader("connection") == "close":
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.lost.append(repr(error))
                connection = None
                time.sleep(0.05)
            time.sleep(pause)

    def _connect(self) -> socket.socket | None:
        try:
            connection = self.web.connect()
        except OSError:
            with self._lock:
                self.refused += 1
            time.sleep(0.05)
            return None
        if isinstance(connection, ssl.SSLSocket):
            self.certificates.add(connection.getpeercert(binary_form=True) or b"")
        return connection

    def stop(self) -> None:
        """Let each finish what it has begun."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(PATIENCE + 10)  # longer than a connection waits for its answer
        assert not any(thread.is_alive() for thread in self._threads), "some requests were never answered"
