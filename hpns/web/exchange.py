"""One request and its answer on a connection: what http1.py needs of each kind, and what each kind gets from it."""

from collections.abc import Coroutine
from typing import Any, NamedTuple, Protocol

from delivery.ingest.api import MachineView
from delivery.ingest.lean_request import LeanRequest
from hpns.web.body_budget import BodyBudget
from hpns.web.connections import ConnectionTable, Waiting
from hpns.web.discard_pace import DiscardPace
from hpns.web.flow_control import Pause
from hpns.web.request_head import RequestHead


class Exchange(Protocol):
    """A request whose head has been read.

    received: bytes of its body so far, read or discarded; complete: all of the request has come; answered: all of the
    answer is written; keep_alive: the connection goes on after it; outlives_eof: it is answered also when its sender
    has closed its half of the connection.
    """

    outlives_eof: bool

    received: int
    complete: bool
    answered: bool
    keep_alive: bool

    def start(self) -> None:
        """All requests before it are answered: it may write."""

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""

    def on_complete(self) -> None:
        """The request is whole."""

    def on_incomplete(self) -> Waiting | None:
        """All that has come is read, and it is not whole: the state in which its connection waits for more."""

    def on_broken(self, reason: str) -> None:
        """The rest of the body will not come or cannot be read; the reason in plain words. keep_alive is false."""

    def on_lost(self) -> None:
        """The connection is gone."""


class Routed(NamedTuple):
    """Where a target leads that is a machine endpoint's: its path and view."""

    target: bytes
    path: str
    view: MachineView


class Connection(Protocol):
    """What an exchange needs of its connection. `is_lost`: nothing that is written arrives any more; `has_more`: other
    requests wait for the end of this answer; `routed`: where its last request to a machine endpoint went."""

    is_lost: bool
    routed: Routed | None

    @property
    def has_more(self) -> bool: ...

    def write(self, data: bytes) -> None:
        """Write a part of the answer of the exchange whose turn it is."""

    async def drain(self) -> None:
        """Wait until the peer has taken enough of what was written. Raises SlowReaderError."""

    def pause_reading(self, reason: Pause) -> None:
        """Stop reading for one more reason."""

    def resume_reading(self, reason: Pause) -> None:
        """That reason is gone."""

    def on_answered(self, exchange: Exchange) -> None:
        """All of the answer is written."""

    def abort(self) -> None:
        """Close the connection at once."""


class Host(Protocol):
    """What the connections of a process share.

    body_limit: bytes of a machine's body; date: the time as the header of that name has it; scheme: of all
    connections; head_buffer, body_buffer: where the next bytes are read to, used up before any others are read.
    The states in which a connection waits for its peer: for the first request; for the rest of a head, of a body; for
    the next request; for the peer to close.
    """

    table: ConnectionTable
    budget: BodyBudget
    discards: DiscardPace
    body_limit: int
    is_draining: bool
    date: bytes
    scheme: str
    head_buffer: memoryview
    body_buffer: memoryview
    first: Waiting
    head: Waiting
    body: Waiting
    idle: Waiting
    linger: Waiting

    def now(self) -> float:
        """The loop's time, in seconds."""

    def exchange(self, connection: Connection, head: RequestHead, *, keep_alive: bool) -> Exchange:
        """Begin the exchange of a request. Raises RequestError."""

    def client_network(self, request: LeanRequest) -> str:
        """The network of a request's client, by which its bytes are counted."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it on the loop."""
