"""The open loop: pushes at a given rate whatever comes back, as many independent servers send them.

    python -m tests.bench.caller --port P --prefix /t/KEY --bodies FILE --run ID --rate N --seconds N --idle N
        [--burst N] [--ca FILE]

Connections are kept as Go's HTTP client keeps them: a push takes an idle one, else a new one is dialled while the push
waits for whichever connection is free first; at most `idle` stay open unused. With --ca it speaks TLS 1.3 without ALPN
and never resumes a session, as a Mattermost server does. Pushes come alone or in bursts of 1 to `burst` at random
moments (exponential gaps, seeded). Prints one line of JSON, times from the moment when a push was due.
"""

import argparse
import collections
import json
import random
import select
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from delivery.protocol.mattermost_id import ALPHABET

# A process may hold 1,024 descriptors as a rule; more than this many pushes at once wait for a connection.
MOST = 900
IN, OUT = select.EPOLLIN, select.EPOLLOUT
# Digits as letters of an id.
LETTERS: Final = str.maketrans("0123456789", ALPHABET[:10])


class Connection:
    """One connection: dialling (a TLS handshake), busy with a push, or idle."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.dialling = tls is not None
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost", do_handshake_on_connect=False)
        self.socket.setblocking(False)
        self.number = self.socket.fileno()
        self.due: float | None = None
        self.answer = b""
        self.wants_write = self.dialling

    def shake(self) -> None:
        """Go on with the handshake."""
        try:
            self.socket.do_handshake()  # type: ignore[attr-defined]
            self.dialling = self.wants_write = False
        except ssl.SSLWantReadError:
            self.wants_write = False
        except ssl.SSLWantWriteError:
            self.wants_write = True

    def send(self, request: bytes, due: float) -> None:
        """Send a push; its few hundred bytes fit into an empty socket buffer."""
        self.due, self.answer = due, b""
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """The body of the answer once it is whole; None before. Raises ConnectionError at the end of the stream."""
        while True:
            try:
                data = self.socket.recv(65536)
            except (ssl.SSLWantReadError, BlockingIOError):
                return None
            if not data:
                raise ConnectionError("closed by the service")
            self.answer += data
            head, end, body = self.answer.partition(b"\r\n\r\n")
            if end:
                length = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0].strip()
                if not length.isdigit():
                    raise ConnectionError("an answer that does not say how long it is")
                if len(body) >= int(length):
                    return body if head.startswith(b"HTTP/1.1 200") else b""


class Caller:
    """One run; see the module."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.port, self.idle_most = options.port, options.idle
        self.tls: ssl.SSLContext | None = None
        if options.ca:
            self.tls = ssl.create_default_context(cafile=options.ca)
            self.tls.minimum_version = ssl.TLSVersion.TLSv1_3
        self.requests = requests(options.bodies, options.prefix, options.run)
        self.open: dict[int, Connection] = {}
        self.poll = select.epoll()
        self.idle: list[Connection] = []
        self.waiting: collections.deque[tuple[float, bytes]] = collections.deque()
        self.opened = self.answered = self.ok = self.broken = 0
        self.waits: list[float] = []

    def push(self, due: float) -> None:
        """Send one push as soon as there is a connection."""
        request = next(self.requests)
        while self.idle:
            connection = self.idle.pop()
            try:
                connection.send(request, due)
                return
            except OSError:
                self.drop(connection)
        self.waiting.append((due, request))
        if len(self.open) < MOST:
            connection = Connection(self.port, self.tls)
            self.opened += 1
            self.open[connection.number] = connection
            self.poll.register(connection.number, IN | OUT if connection.wants_write else IN)
            if not connection.dialling:
                self.free(connection)

    def free(self, connection: Connection) -> None:
        """A connection has nothing to do: the push that waits longest takes it, else it stays if there is room."""
        connection.due = None
        if self.waiting:
            due, request = self.waiting.popleft()
            connection.send(request, due)
        elif len(self.idle) < self.idle_most:
            self.idle.append(connection)
        else:
            self.drop(connection)

    def drop(self, connection: Connection) -> None:
        """Close a connection."""
        del self.open[connection.number]
        self.poll.unregister(connection.number)
        if connection in self.idle:
            self.idle.remove(connection)
        connection.socket.close()

    def turn(self, until: float) -> None:
        """Wait for the sockets until that moment at most, and do what they allow."""
        # epoll alone waits for whole milliseconds, which the latencies would show.
        select.select([self.poll], [], [], max(0.0, until - time.perf_counter()))
        for number, _ in self.poll.poll(0):
            connection = self.open.get(number)
            if connection is None:
                continue  # it was dropped for another one in this very turn
            try:
                if connection.dialling:
                    connection.shake()
                    self.poll.modify(number, IN | OUT if connection.wants_write else IN)
                    if not connection.dialling:
                        self.free(connection)
                    continue
                body = connection.receive()
            except OSError:
                self.broken += connection.due is not None
                self.drop(connection)
                continue
            if body is not None and connection.due is not None:
                self.answered += 1
                self.ok += body.strip() == b'{"status":"OK"}'
                self.waits.append(time.perf_counter() - connection.due)
                self.free(connection)

    def run(self, moments: list[float]) -> float:
        """Send a push at each of the moments (seconds from now), wait for the answers; returns the worst lateness."""
        start, late = time.perf_counter(), 0.0
        for moment in moments:
            due = start + moment
            while time.perf_counter() < due:
                self.turn(due)
            late = max(late, time.perf_counter() - due)
            self.push(due)
        end = time.perf_counter() + 10
        while self.answered + self.broken < len(moments) and time.perf_counter() < end:
            self.turn(time.perf_counter() + 0.1)
        return late


def requests(bodies: Path, prefix: str, run: str) -> Iterator[bytes]:
    """The requests of a run without end, each under an ack_id of its own; as they are where `run` is ""."""
    lines = bodies.read_bytes().splitlines()
    mark, number = b'"ack_id":"', 0
    while True:
        for line in lines:
            number += 1
            start = line.index(mark) + len(mark)
            count = f"{number:011d}".translate(LETTERS)
            body = line[:start] + f"{run}{count}y".encode() + line[start + 26 :] if run else line
            yield (
                f"POST {prefix}/api/v1/send_push HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Mattermost-Bot/1.1\r\n"
                f"Content-Length: {len(body)}\r\nAccept-Encoding: gzip\r\n\r\n"
            ).encode() + body


def schedule(rate: float, seconds: float, burst: int, seed: int = 1) -> list[float]:
    """When pushes are due, in seconds from the start: bursts of 1 to `burst` at random, `rate` pushes a second."""
    chance = random.Random(seed)  # noqa: S311 - the same for every run is what is wanted
    moments: list[float] = []
    at = 0.0
    while True:
        at += chance.expovariate(rate / ((1 + burst) / 2))
        if at >= seconds:
            return moments
        moments += [at] * chance.randint(1, burst)


def parser() -> argparse.ArgumentParser:
    """The command line; see the module."""
    made = argparse.ArgumentParser()
    for name, kind in (("port", int), ("rate", float), ("seconds", float), ("idle", int)):
        made.add_argument(f"--{name}", type=kind, required=True)
    made.add_argument("--prefix", default="")
    made.add_argument("--bodies", type=Path, required=True)
    made.add_argument("--run", required=True)
    made.add_argument("--burst", type=int, default=1)
    made.add_argument("--ca", default="")
    return made


def main() -> None:
    """See the module."""
    options = parser().parse_args()
    caller = Caller(options)
    moments = schedule(options.rate, options.seconds, options.burst)
    cpu = time.process_time()
    late = caller.run(moments)
    waits = sorted(caller.waits) or [0.0]
    report = {
        "answered": caller.answered,
        "seconds": options.seconds,
        "errors": len(moments) - caller.ok,
        "p50_ms": waits[len(waits) // 2] * 1000,
        "p99_ms": waits[len(waits) * 99 // 100] * 1000,
        "load_cpu": time.process_time() - cpu,
        "opened": caller.opened,
        "late_ms": late * 1000,
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
