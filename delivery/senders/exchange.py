"""One request to a provider and its answer, on a libcurl handle that is used again and again.

Invariant: the body comes from a reader that cannot rewind, so libcurl never sends a request a second time by itself.
"""

from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Final

import pycurl

from delivery.senders.faults import classify
from delivery.verdict import ANSWERED, MAYBE, NOT_SENT

COARSE_MS: Final = 64
"""Long time-outs are rounded down to a multiple of this, so that a handle that is used again rarely needs a new one."""


class Exchange:
    """One request and what came of it. It is used again after done returns, so nothing may keep it.

    status is the HTTP status (0: no answer) and body the answer's body; word and wire tell of a request without an
    answer (delivery/verdict.py); error is libcurl's own text; retry_after is in seconds (0: not said); at is in unix
    seconds, ms the duration; tag belongs to the caller.
    """

    __slots__ = (
        "_body",
        "_chunks",
        "_headers",
        "_request_headers",
        "_timeout_ms",
        "_unread",
        "_url",
        "at",
        "curl",
        "done",
        "error",
        "ms",
        "started",
        "status",
        "tag",
        "wire",
        "word",
    )

    def __init__(self, options: Sequence[tuple[int, Any]]) -> None:
        """Make a libcurl handle with the options that all requests of the lane share."""
        self.curl = curl = pycurl.Curl()
        self._body = b""
        self._unread = True
        self._url = ""
        self._request_headers: list[str] = []
        self._timeout_ms = 0
        self._chunks: list[bytes] = []
        self._headers: list[bytes] | None = None
        self.done: Callable[[Exchange], None] = forget
        self.tag: Any = None
        self.at = self.started = 0.0
        self.status = self.ms = 0
        self.word = self.error = ""
        self.wire = NOT_SENT
        for option, value in options:
            curl.setopt(option, value)
        curl.setopt(pycurl.READFUNCTION, self._read)
        curl.setopt(pycurl.SEEKFUNCTION, _cannot_rewind)
        curl.setopt(pycurl.WRITEFUNCTION, self._chunks.append)
        curl.exchange = self

    def _read(self, size: int) -> bytes:
        self._unread = False
        body = self._body
        self._body = body[size:]
        return body[:size]

    @property
    def body(self) -> bytes:
        """The answer's body, at most as long as the lane's options allow."""
        return b"".join(self._chunks)

    @property
    def retry_after(self) -> float:
        """What the answer's Retry-After header asks for, in seconds; 0 where it says nothing."""
        return float(self.curl.getinfo(pycurl.RETRY_AFTER))

    @property
    def date(self) -> float:
        """The answer's Date header in unix seconds; 0 where there is none or it was not asked for."""
        for line in self._headers or ():
            if line[:5].lower() == b"date:":
                try:
                    return parsedate_to_datetime(line[5:].decode("latin-1").strip()).timestamp()
                except ValueError:
                    return 0.0
        return 0.0

    def prepare(self, url: str, headers: list[str], body: bytes, timeout_ms: int, want_date: bool) -> None:
        """Set what is different from request to request. Headers are kept on request only: each costs a callback."""
        setopt = self.curl.setopt
        if url is not self._url:  # all pushes of a Firebase project have one address, and its headers change hourly
            setopt(pycurl.URL, url)
            self._url = url
        if headers is not self._request_headers:
            setopt(pycurl.HTTPHEADER, headers)
            self._request_headers = headers
        setopt(pycurl.POSTFIELDSIZE, len(body))
        if timeout_ms > 10 * COARSE_MS:
            timeout_ms -= timeout_ms % COARSE_MS
        if timeout_ms != self._timeout_ms:
            setopt(pycurl.TIMEOUT_MS, timeout_ms)
            self._timeout_ms = timeout_ms
        self._body = body
        self._unread = True
        self._chunks.clear()
        if want_date:
            self._headers = []
            setopt(pycurl.HEADERFUNCTION, self._headers.append)
        elif self._headers is not None:
            self._headers = None
            self.curl.unsetopt(pycurl.HEADERFUNCTION)

    def conclude(self, code: int, message: str) -> None:
        """Note what came of it: libcurl's code (0: a whole answer) and text."""
        getinfo = self.curl.getinfo
        status = getinfo(pycurl.RESPONSE_CODE)
        self.error = message
        if status >= 200:
            self.status, self.word, self.wire = status, "", ANSWERED
            return
        self.status = 0
        self.word, self.wire = classify(code, message, not self._unread, getinfo(pycurl.HTTP_CONNECTCODE))
        if self.word == "refused_stream":
            self.error = ""  # it would speak of our reader

    def stop(self) -> None:
        """Note that we gave it up ourselves."""
        self.status, self.word, self.error = 0, "stopped", ""
        self.wire = NOT_SENT if self._unread else MAYBE


def forget(exchange: Exchange) -> None:
    """Stand for done while an exchange is not in use."""


def _cannot_rewind(offset: int, origin: int) -> int:
    return pycurl.SEEKFUNC_FAIL  # type: ignore[no-any-return]
