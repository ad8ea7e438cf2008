"""Response headers: the status, and of a response that is no success the other fields; HPACK decoding (RFC 7541).

A header block may refer to a table that the blocks before it have filled (RFC 7541, 2.3.2). We ask a peer to keep none,
and one that obeys says so in its first block (RFC 9113, 4.3.1); from then on a success need not be decoded: its status
counts, whatever the fields are that nobody reads. A peer that does not obey costs more and is understood all the same.

Whatever is decoded is checked (RFC 9113, 8.2 and 8.3). A malformed head ends its stream; one that leaves the table
unknown ends the connection.
"""

import re
from collections.abc import Sequence
from typing import Final

from hpack import Decoder, OversizedHeaderListError

from delivery.http2.frames import COMPRESSION_ERROR, ENHANCE_YOUR_CALM, FrameError, StreamError

Fields = Sequence[tuple[bytes, bytes]]
_STATUS_200: Final = b"\x88"
"""The field ":status: 200", entry 8 of the static table (RFC 7541, appendix A)."""
_OK: Final[tuple[int, Fields]] = (200, ())
_MAX_SIZE_UPDATES: Final = 2
"""At the beginning of a block (RFC 7541, 4.2); more say nothing."""
_is_name: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch
"""The name of a field (RFC 9110, 5.1) in lower case, as HTTP/2 has it (RFC 9113, 8.2.1)."""
_is_value: Final = re.compile(rb"(?![\t ])[^\0\r\n]*(?<![\t ])").fullmatch
_CONNECTION_SPECIFIC: Final = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"te")
)
"""Fields that are of HTTP/1.1's connections (RFC 9113, 8.2.2); "te" may stand in requests alone."""
_USUAL: Final = frozenset((b"apns-id", b"content-length", b"content-type", b"date", b"retry-after", b"server", b"vary"))
"""Names that need no second look."""
_is_length: Final = re.compile(rb"[0-9]{1,18}").fullmatch
_SWITCHING_PROTOCOLS: Final = 101


class ResponseHeaders:
    """Decodes the header blocks of all responses on one connection, each once and in order."""

    def __init__(self, max_bytes: int) -> None:
        """max_bytes: how long the fields of a response may be together (RFC 9113, 10.5.1)."""
        self._decoder = Decoder(max_bytes)
        self._no_dynamic_table = False

    def decode(self, block: bytes) -> tuple[int, Fields]:
        """Return the status and the fields of a response, () for 200; the status is 0 for trailers.

        Raises StreamError for a malformed response, FrameError and hpack.HPACKError where the connection has to end.
        """
        if self._no_dynamic_table and block.startswith(_STATUS_200):
            return _OK
        _check_size_updates(block)
        try:
            fields: Fields = self._decoder.decode(block, raw=True)
        except OversizedHeaderListError as error:
            # What was not read may have changed the table, unless there is none.
            if self._decoder.header_table_size == 0:
                raise StreamError("header list that is too long", ENHANCE_YOUR_CALM) from error
            raise FrameError("header list that is too long", ENHANCE_YOUR_CALM) from error
        self._no_dynamic_table = self._decoder.header_table_size == 0
        status = _check(fields)
        return status, () if status == 200 else fields


def _check_size_updates(block: bytes) -> None:
    """Check how many changes of the table's size a block begins with (RFC 7541, 6.3): each takes time. FrameError."""
    at = updates = 0
    while at < len(block) and block[at] & 0xE0 == 0x20:
        updates += 1
        if updates > _MAX_SIZE_UPDATES:
            raise FrameError("header block with too many changes of the table's size", COMPRESSION_ERROR)
        if block[at] & 0x1F == 0x1F:
            at += 1
            while at < len(block) and block[at] & 0x80:
                at += 1
        at += 1


def _check(fields: Fields) -> int:
    """Return the status among the fields of a response, 0 where there is none. StreamError if they are malformed."""
    status = 0
    length = b""
    regular = False
    for name, value in fields:
        if name[:1] == b":":
            if name != b":status" or regular or status:
                raise StreamError("answer with a wrong pseudo-header")
            status = _read_status(value)
            continue
        regular = True
        if not (name in _USUAL or (_is_name(name) and name not in _CONNECTION_SPECIFIC)) or not _is_value(value):
            raise StreamError("answer with a field that HTTP/2 forbids")
        if name == b"content-length":
            if not _is_length(value) or (length and value != length):
                raise StreamError("answer with a content-length that is none")
            length = value
    return status


def _read_status(value: bytes) -> int:
    """Return a status code (RFC 9113, 8.3.2). StreamError where it is none, or one that HTTP/2 has not (8.6)."""
    status = int(value) if len(value) == 3 and value.isdigit() else 0
    if status < 100 or status == _SWITCHING_PROTOCOLS:
        raise StreamError("answer without a status")
    return status
