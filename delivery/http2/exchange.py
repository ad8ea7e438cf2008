"""One request to a provider and its answer."""

from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

from delivery.outcomes.transport import NoFault, TransportFault
from delivery.outcomes.verdict import ANSWERED, NOT_SENT, WireState


class Exchange:
    """One request and what came of it.

    status is the HTTP status (0: no answer) and body the answer's body; fault and wire tell of a request without an
    answer (delivery/outcomes/transport.py, verdict.py); error is a short text for the log; at is in unix seconds,
    started and deadline are time.monotonic, ms is the duration; opened tells whether a connection was opened for it;
    tag belongs to the caller.
    """

    __slots__ = (
        "_body",
        "_fields",
        "at",
        "credit",
        "deadline",
        "done",
        "error",
        "fault",
        "head",
        "ms",
        "opened",
        "received",
        "rest",
        "started",
        "status",
        "stream",
        "tag",
        "wire",
    )

    def __init__(
        self,
        head: bytes,
        body: bytes,
        at: float,
        started: float,
        deadline: float,
        done: "Callable[[Exchange], None] | None",
        tag: Any,
    ) -> None:
        """head: the request's header block; body: what is still to be sent of its body."""
        self.head = head
        self.rest = body
        self.at = at
        self.started = started
        self.deadline = deadline
        self.done = done
        self.tag = tag
        self.stream = 0
        self.credit = 0
        self.status = self.ms = self.received = 0
        self.wire: WireState = NOT_SENT
        self.fault: TransportFault | NoFault = ""
        self.error = ""
        self.opened = False
        self._fields: Sequence[tuple[bytes, bytes]] = ()
        self._body: list[bytes] | None = None

    @property
    def body(self) -> bytes:
        """The answer's body; b"" when it did not come whole."""
        return b"".join(self._body) if self._body else b""

    @property
    def retry_after(self) -> float:
        """What the answer's Retry-After header asks for, in seconds (RFC 9110, 10.2.3); 0 where it says nothing."""
        value = self._field(b"retry-after")
        if value.isascii() and value.isdigit() and len(value) <= 9:
            return float(value)
        when = _date(value)
        return max(0.0, when - self.at) if when else 0.0

    @property
    def date(self) -> float:
        """The answer's Date header in unix seconds; 0 where there is none that can be read, and for status 200."""
        return _date(self._field(b"date"))

    @property
    def announced(self) -> int:
        """The answer's content-length; 0 where it says none."""
        value = self._field(b"content-length")
        return int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else 0

    def _field(self, name: bytes) -> str:
        for known, value in self._fields:
            if known == name:
                return value.decode("latin-1").strip()
        return ""

    def answered(self, status: int, fields: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Note the head of the answer."""
        self.status, self.wire, self._fields = status, ANSWERED, fields

    def take(self, part: bytes) -> None:
        """Note a part of the answer's body."""
        if self._body is None:
            self._body = [part]
        else:
            self._body.append(part)

    def cut(self) -> None:
        """Note that the body does not come whole: half a body says nothing."""
        self._body = None


def _date(value: str) -> float:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return 0.0
