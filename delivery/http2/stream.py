"""An HTTP/2 stream (RFC 9113, 5.1): one request to a provider and its response."""

from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final

from delivery.outcomes.transport import NoFault, TransportFault
from delivery.outcomes.verdict import ANSWERED, MAYBE, NOT_SENT, WireState

_WITHOUT_CONTENT: Final = (204, 304)
"""Statuses whose content-length is that of another response (RFC 9110, 8.6)."""


class Stream:
    """One request and its response, or the transport error in place of one.

    status is the HTTP status (0: no response) and body the response's body; fault and wire tell of a request without a
    response (delivery/outcomes/transport.py, verdict.py); error is a short text for the log; at is in unix seconds,
    started and deadline are time.monotonic, ms is the duration; opened_connection tells whether a connection was opened
    for it; tag belongs to the caller; tenant is whose it is, for its turn where it has to wait, and urgent whether it
    goes ahead of others then.
    """

    __slots__ = (
        "_body",
        "_fields",
        "at",
        "deadline",
        "error",
        "fault",
        "header_block",
        "ms",
        "on_done",
        "opened_connection",
        "received_bytes",
        "send_window",
        "started",
        "status",
        "stream_id",
        "tag",
        "tenant",
        "unsent_body",
        "urgent",
        "wire",
    )

    def __init__(
        self,
        header_block: bytes,
        unsent_body: bytes,
        at: float,
        started: float,
        deadline: float,
        on_done: "Callable[[Stream], None] | None",
        tag: Any,
        tenant: int = 0,
        *,
        urgent: bool = False,
    ) -> None:
        """header_block: the request's fields as HPACK; on_done: called once, when the stream has ended."""
        self.header_block = header_block
        self.unsent_body = unsent_body
        self.at = at
        self.started = started
        self.deadline = deadline
        self.on_done = on_done
        self.tag = tag
        self.tenant, self.urgent = tenant, urgent
        self.stream_id = 0
        self.send_window = 0
        self.status = self.ms = self.received_bytes = 0
        self.wire: WireState = NOT_SENT
        self.fault: TransportFault | NoFault = ""
        self.error = ""
        self.opened_connection = False
        self._fields: Sequence[tuple[bytes, bytes]] = ()
        self._body: list[bytes] | None = None

    @property
    def body(self) -> bytes:
        """The response's body; b"" when it did not come whole."""
        return b"".join(self._body) if self._body else b""

    @property
    def retry_after(self) -> float:
        """What the response's Retry-After header asks for, in seconds (RFC 9110, 10.2.3); 0 where it says nothing."""
        value = self._field(b"retry-after")
        if value.isascii() and value.isdigit() and len(value) <= 9:
            return float(value)
        when = _date(value)
        return max(0.0, when - self.at) if when else 0.0

    @property
    def date(self) -> float:
        """The response's Date header in unix seconds; 0 where there is none that can be read, and for status 200."""
        return _date(self._field(b"date"))

    @property
    def content_length(self) -> int | None:
        """The response's content-length; None where it says none, and for status 200."""
        value = self._field(b"content-length")
        return int(value) if value else None

    @property
    def has_wrong_length(self) -> bool:
        """Whether another number of bytes has come than the response announced (RFC 9113, 8.1.1)."""
        announced = None if self.status in _WITHOUT_CONTENT else self.content_length
        return announced is not None and announced != self.received_bytes

    def _field(self, name: bytes) -> str:
        for field_name, value in self._fields:
            if field_name == name:
                return value.decode("latin-1")
        return ""

    def receive_headers(self, status: int, fields: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Take the headers of the response."""
        self.status, self.wire, self._fields = status, ANSWERED, fields

    def receive_data(self, data: bytes) -> None:
        """Take a part of the response's body."""
        if self._body is None:
            self._body = [data]
        else:
            self._body.append(data)

    def fail(self, fault: TransportFault, error: str) -> None:
        """Take back what there is of a response: it is none (RFC 9113, 8.1.1), but the request may be taken."""
        self.wire = NOT_SENT if self.unsent_body else MAYBE
        self.status, self.fault, self.error, self._fields = 0, fault, error, ()
        self.discard_body()

    def discard_body(self) -> None:
        """Drop a body that does not come whole: half a body says nothing."""
        self._body = None


def _date(value: str) -> float:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return 0.0
