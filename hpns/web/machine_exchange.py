"""Exchange of a machine endpoint: judged by its head, then read, then answered, without a task before it is whole.

The short way past everything that only pages need. Invariants: who is refused for the head alone is answered without
the body being read; a body is kept no longer than until it is decoded; the view is called once for each request whose
caller is known, also when its body did not come, for that is counted and logged.
"""

import asyncio
from typing import Any, Final

from django.http import HttpResponse

from delivery.ingest.api import MachineView
from delivery.ingest.lean_request import LeanRequest
from hpns.web.body import BodyError, BodyTooLargeError, decoded
from hpns.web.body_budget import Reservation
from hpns.web.connections import Waiting
from hpns.web.exchange import Connection, Host
from hpns.web.flow_control import Pause
from hpns.web.http1 import DISCARD_MAX
from hpns.web.request_head import RequestHead

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE: Final = b"connection: close\r\n"
# Bytes of a body that came with the head of a push that was refused for it: no push of Mattermost's is larger.
LOOKED_AT: Final = 8 * 1024


class MachineExchange:
    """See exchange.Exchange; and body_budget.Reader."""

    __slots__ = (
        "_chunks", "_connection", "_expects_continue", "_has_turn", "_host", "_is_begun", "_is_broken", "_is_lost",
        "_length", "_refusal", "_request", "_reservation", "_view", "answered", "complete", "keep_alive", "received",
        "waits_for_room",
    )  # fmt: skip

    outlives_eof = True

    def __init__(
        self, host: Host, connection: Connection, view: MachineView, head: RequestHead, path: str, *, keep_alive: bool
    ) -> None:
        self._host, self._connection, self._view = host, connection, view
        self.keep_alive = keep_alive
        self.received = 0
        self.complete = self.answered = self.waits_for_room = False
        self._has_turn = self._is_begun = self._is_broken = self._is_lost = False
        self._chunks: list[bytes] = []
        self._reservation: Reservation | None = None
        self._request = request = LeanRequest(head, path)
        lines = head.headers.lines
        self._expects_continue = b"expect" in lines
        # What it will be at least; None: nobody knows. The reader has refused whatever is no length.
        self._length = None if b"transfer-encoding" in lines else int(lines.get(b"content-length", b"0"))
        self._refusal = view.judge_head(request)
        if self._refusal is None and self._length is not None and self._length > host.body_limit:
            request.too_large = min(self._length, DISCARD_MAX)

    def start(self) -> None:
        """All requests before it are answered."""
        self._has_turn = True
        if self.complete or self._is_broken:
            self._begin()

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        request = self._request
        if self._refusal is not None:
            if request.rejected is not None and len(data) <= LOOKED_AT:
                self._chunks = [data]  # to see whose it may be; what follows is thrown away
            return
        if request.too_large or request.body_error:
            return  # it is thrown away
        if self.received > self._host.body_limit:
            request.too_large = self.received
            self._chunks.clear()
        else:
            self._chunks.append(data)

    def on_complete(self) -> None:
        """The request is whole."""
        self._begin()

    def on_incomplete(self) -> Waiting | None:
        """More of the body is waited for, if it is wanted and once there is room for it."""
        if not self._has_turn or self._is_begun:
            return None  # it is our turn to do something
        if self._refusal is not None or self._request.too_large:
            self._begin()
            return None
        if self._expects_continue:
            self._expects_continue = False
            self._connection.write(CONTINUE)
        if self._reservation is None and not self.waits_for_room:
            size = self._host.body_limit if self._length is None else self._length
            address = self._host.client_network(self._request)
            self._reservation = self._host.budget.reserve(
                self, size, key=self._request.identity.key_id, address=address
            )
            if self._reservation is None:
                self._connection.pause_reading(Pause.BUDGET)
        return self._host.body

    def on_reserved(self, reservation: Reservation) -> None:
        """There is room for the body."""
        self._reservation = reservation
        self._connection.resume_reading(Pause.BUDGET)

    def on_broken(self, reason: str) -> None:
        """The rest of the body will not come."""
        if not self._request.too_large:
            self._request.body_error = reason
        self._chunks.clear()
        self._is_broken = True  # where it is not its turn yet, start() goes on
        self._begin()

    def on_lost(self) -> None:
        """The connection is gone; what was being read is counted as broken."""
        self._is_lost = True
        if not self.complete and self._refusal is None:
            self.on_broken("its body did not arrive whole")
        self._release()

    def _begin(self) -> None:
        """All of the request has come that will, or that is wanted: answer it when it is its turn."""
        self._release()
        if self._is_begun or not (self._has_turn or self._is_lost):
            return
        self._is_begun = True
        if self._refusal is not None:
            chunks, self._chunks = self._chunks, []
            self._view.note_stranger(self._request, b"".join(chunks))
            self._respond(self._refusal)
            return
        request = self._request
        if not request.too_large and not request.body_error:
            chunks, self._chunks = self._chunks, []
            body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            encoding = request.headers_get("content-encoding")
            request.payload = self._decoded(body, encoding) if encoding else body
        begun = self._view.begin(request)
        if isinstance(begun, asyncio.Future):
            begun.add_done_callback(self._on_answer)
        else:
            self._respond(begun)

    def _decoded(self, body: bytes, encoding: str) -> bytes:
        try:
            return decoded(body, encoding, self._host.body_limit)
        except BodyTooLargeError as error:
            self._request.too_large = error.size
        except BodyError as error:
            self._request.body_error = str(error)
        return b""

    def _on_answer(self, answer: "asyncio.Future[bytes]") -> None:
        if not answer.cancelled():
            self._respond(self._view.end(self._request, answer))

    def _respond(self, response: HttpResponse) -> None:
        if self._is_lost:
            return
        if not self.complete and (self._expects_continue or (self._length or 0) > DISCARD_MAX):
            self.keep_alive = False  # nobody knows whether the body will come; or too much of it will
        if self._host.is_draining and not self._connection.has_more:
            self.keep_alive = False
        self._connection.write(rendered(response, self._host.date, keep_alive=self.keep_alive))
        self._connection.on_answered(self)

    def _release(self) -> None:
        self.waits_for_room = False
        if self._reservation is not None:
            reservation, self._reservation = self._reservation, None
            self._host.budget.release(reservation)


# The last response to a connection that is kept, with its date: mostly that which nearly all get.
_last: Final[list[Any]] = [None, b"", b""]


def rendered(response: HttpResponse, date: bytes, *, keep_alive: bool) -> bytes:
    """The bytes of a response."""
    last, last_date, text = _last
    if response is last and date is last_date and keep_alive:
        return text  # type: ignore[no-any-return]
    text = _rendered(response, date, keep_alive=keep_alive)
    if keep_alive:
        _last[:] = response, date, text
    return text


def _rendered(response: HttpResponse, date: bytes, *, keep_alive: bool) -> bytes:
    content = response.content
    if response.status_code == 200:
        return b"HTTP/1.1 200 OK\r\ndate: %b\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n%b" % (
            date, b"" if keep_alive else CLOSE, len(content), content,
        )  # fmt: skip
    lines = [f"HTTP/1.1 {response.status_code} {response.reason_phrase}", f"date: {date.decode()}"]
    lines += [f"{name.lower()}: {value}" for name, value in response.headers.items()]
    lines += [] if keep_alive else ["connection: close"]
    return "\r\n".join([*lines, f"content-length: {len(content)}", "", ""]).encode("latin-1") + content
