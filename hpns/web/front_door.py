"""The front door of one web process: accepts connections, ends those that wait too long, serves requests.

It accepts by itself, for the address of a connection has to be known before TLS is negotiated: a bound that begins
after the handshake is none. Invariants: whatever is accepted is in the table of connections.py from then on, and waits
for its peer with a deadline; a certificate that is renewed is used from the next handshake on.
"""

import asyncio
import logging
import resource
import socket
import ssl
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from typing import Any, Final

from delivery.ingest.api import MachineView
from delivery.ingest.lean_request import LeanRequest
from delivery.ingest.misdirected import is_misdirected
from hpns.web.asgi_exchange import AsgiExchange
from hpns.web.asgi_types import ASGIApp, Message
from hpns.web.body_budget import BodyBudget
from hpns.web.connections import TOTAL, ConnectionTable, Waiting, network_of
from hpns.web.discard_pace import DiscardPace
from hpns.web.exchange import Connection, Exchange, Routed
from hpns.web.http1 import HttpConnection
from hpns.web.last_connections import refuse_newcomers
from hpns.web.machine_exchange import MachineExchange
from hpns.web.request_head import RequestHead, path_of
from hpns.web.request_reader import RequestError
from tenants.network import TrustedProxies
from tenants.supervision import supervise
from tenants.ticks import tick

# Seconds that a connection may stay idle: above the 90 s after which Mattermost closes it itself (Go's
# IdleConnTimeout), for a push that meets a connection just closed by us is lost.
IDLE_SECONDS: Final = 100.0
# Seconds from a connection to its first request, with the TLS handshake: whoever connects has something to ask. A Go
# client that has dialled and then found another connection free keeps the new one unused; it sees that we close it.
FIRST_SECONDS: Final = 10.0
# Seconds from the first byte of a head to its last, and for a peer to close a connection that is over.
HEAD_SECONDS, LINGER_SECONDS = 10.0, 2.0
# Seconds for a peer to take leave of TLS.
TLS_SHUTDOWN_SECONDS: Final = 5.0
# Bytes that are read at once: of heads with what comes along, and of the rest of bodies.
HEAD_BUFFER, BODY_BUFFER = 16 * 1024, 64 * 1024
# Connections that are accepted in one turn of the loop; what else waits may go to another process.
ACCEPTED_AT_ONCE: Final = 32
# Descriptors for what is no connection of a caller: stores, pages, files.
DESCRIPTORS_KEPT: Final = 1_000
# Seconds between two lines about connections that found no room.
REPORT_SECONDS: Final = 60.0
# Seconds until accepting is tried again after the kernel has refused.
ACCEPT_PAUSE: Final = 0.5

logger = logging.getLogger(__name__)


class FrontDoor:
    """See exchange.Host. `route`: the machine endpoint of a path, or None; `misdirected`: answers what was meant for
    one and goes to none; `pages`: answers everything else."""

    def __init__(
        self,
        route: Callable[[str], MachineView | None],
        pages: ASGIApp,
        *,
        body_limit: int,
        body_deadline: float,
        proxies: TrustedProxies,
        misdirected: MachineView | None = None,
    ) -> None:
        self.misdirected = misdirected
        self.route, self.pages, self.body_limit, self._proxies = route, pages, body_limit, proxies
        self.is_draining = False
        self.scheme = "http"
        self.date = b""
        self.head_buffer, self.body_buffer = memoryview(bytearray(HEAD_BUFFER)), memoryview(bytearray(BODY_BUFFER))
        self.first = Waiting(FIRST_SECONDS, is_idle=True)
        self.head, self.body = Waiting(HEAD_SECONDS), Waiting(body_deadline)
        self.idle, self.linger = Waiting(IDLE_SECONDS, is_idle=True), Waiting(LINGER_SECONDS)
        self._states = (self.first, self.head, self.body, self.idle, self.linger)
        self.table = ConnectionTable(proxies.trusts, total=connections_max())
        self.budget = BodyBudget()
        self.discards = DiscardPace(BODY_BUFFER)
        self._tasks: set[asyncio.Task[None]] = set()
        self._report_at = 0.0
        self._tls: ssl.SSLContext | None = None
        self._listener: socket.socket | None = None

    def start(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Begin to accept, on the running loop; `listener` does not block. `tls`: None for plain HTTP."""
        self._loop = asyncio.get_running_loop()
        self.now = self._loop.time
        self._listener = listener
        self._server = listener.getsockname()[:2]
        if tls is not None:
            self.use_certificate(tls)
        self._set_date()
        self._keeper = supervise("the deadlines of connections", self._watch)
        self._loop.add_reader(listener, self._accept)

    def use_certificate(self, tls: ssl.SSLContext) -> None:
        """Use it from the next handshake on."""
        self._tls, self.scheme = tls, "https"

    # --- Accepting

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            if not self._accept_one():
                return

    def _accept_one(self) -> bool:
        """Accept one connection; false when none waits."""
        assert self._listener is not None  # noqa: S101  start() has set it
        try:
            accepted, peer = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError as error:  # no descriptors, no memory: it would be told again at once
            logger.error("no connection can be accepted: %s", error.strerror)
            self._loop.remove_reader(self._listener)
            self._loop.call_later(ACCEPT_PAUSE, self._resume_accepting)
            return False
        host, port = str(peer[0]), int(peer[1])
        entry = self.table.admit(host)
        if entry is None:
            accepted.close()
            return True
        accepted.setblocking(False)
        connection = HttpConnection(self, entry, f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        connection.accepting = self._spawn(self._connect(connection, accepted))
        return True

    async def _connect(self, connection: HttpConnection, accepted: socket.socket) -> None:
        options: dict[str, Any] = {}
        if self._tls is not None:
            options = {"ssl": self._tls, "ssl_handshake_timeout": FIRST_SECONDS}
            options["ssl_shutdown_timeout"] = TLS_SHUTDOWN_SECONDS
        try:
            await self._loop.connect_accepted_socket(lambda: connection, accepted, **options)
        except (OSError, asyncio.CancelledError) as error:  # no TLS, or not in time, or no room for it any more
            logger.debug("a connection was not made: %s", type(error).__name__)
            connection.accepting = None
            connection.close_idle()
        connection.accepting = None

    def _resume_accepting(self) -> None:
        if self._listener is not None:
            self._loop.add_reader(self._listener, self._accept)

    def stop_accepting(self) -> None:
        """Accept no more. The socket stays open in the other processes."""
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def accept_waiting(self, *, is_last: bool) -> None:
        """Accept all that have connected: it may be that nobody else will. `is_last`: no other process, now or later,
        serves on the listening socket, and from here on nobody connects to it."""
        if is_last and self._listener is not None:
            refuse_newcomers(self._listener)
        while self._listener is not None and self._accept_one():
            pass

    # --- For connections and exchanges

    def _misdirected(self, head: RequestHead) -> MachineView | None:
        return self.misdirected if is_misdirected(head.method, head.target) else None

    def exchange(self, connection: Connection, head: RequestHead, *, keep_alive: bool) -> Exchange:
        """See exchange.Host."""
        routed = connection.routed
        if routed is not None and routed.target == head.target:
            return MachineExchange(self, connection, routed.view, head, routed.path, keep_alive=keep_alive)
        try:
            path, raw_path, query, authority = path_of(head.target)
        except ValueError:
            raise RequestError(400) from None
        view = self.route(path)
        if view is not None:
            connection.routed = Routed(head.target, path, view)
        else:
            view = self._misdirected(head)
        if view is not None:
            return MachineExchange(self, connection, view, head, path, keep_alive=keep_alive)
        headers = list(head.headers.pairs())
        if authority:  # goes before what the Host says (RFC 9112, 3.2.2)
            headers = [(b"host", authority), *(each for each in headers if each[0] != b"host")]
        address, _, port = head.client.rpartition(":")
        scope: Message = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": head.version,
            "method": head.method,
            "scheme": head.scheme,
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": headers,
            "server": self._server,
            "client": (address.strip("[]"), int(port)),
        }
        return AsgiExchange(self, connection, self.pages, head, scope, keep_alive=keep_alive)

    def client_network(self, request: LeanRequest) -> str:
        """See exchange.Host."""
        address = self._proxies.client(request)
        return network_of(str(address)) if address else "unknown"

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """See exchange.Host."""
        self._spawn(work)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- Time

    def _set_date(self) -> None:
        self.date = formatdate(usegmt=True).encode()

    async def _watch(self) -> None:
        """Once a second end what waits too long: a timer for each would cost as much as decoding a push."""
        while True:
            await tick(1)
            self._set_date()
            now = self.now()
            for state in self._states:
                state.expire(now)
            self._report_crowding(now)

    def _report_crowding(self, now: float) -> None:
        """Say that connections were closed or refused for want of room, not more often than REPORT_SECONDS."""
        table = self.table
        if (table.evicted or table.refused) and now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            logger.warning(
                "there are more connections than there is room for (%d in all, %d from one address): "
                "%d idle ones were closed and %d new ones refused",
                table.total, table.per_address, table.evicted, table.refused,
            )  # fmt: skip
            table.evicted = table.refused = 0

    # --- Leaving

    def close_idle(self) -> None:
        """Close the connections that wait for a request."""
        for state in (self.idle, self.first):
            for connection in list(state.since):
                connection.close_idle()

    async def close(self) -> None:
        """End everything at once."""
        self.stop_accepting()
        self._keeper.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def connections_max() -> int:
    """How many connections this process may have, with as many descriptors as the kernel gives it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        hard = TOTAL + DESCRIPTORS_KEPT
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = max(hard - DESCRIPTORS_KEPT, hard // 2)
    if most < TOTAL:
        logger.warning(
            "the limit of open files (ulimit -n) is %d: this process takes %d connections at once instead of %d",
            hard, most, TOTAL,
        )  # fmt: skip
    return min(most, TOTAL)
