"""Response headers: the status, and of a response that is no success the other fields; HPACK decoding (RFC 7541).

A header block may refer to a table that the blocks before it have filled (RFC 7541, 2.3.2). We ask a peer to keep none,
and one that obeys says so in its first block (RFC 9113, 4.3.1); from then on a success need not be decoded. A peer that
does not obey costs more and is understood all the same.
"""

from collections.abc import Sequence
from typing import Final

from hpack import Decoder

from delivery.http2.frames import FrameError

Fields = Sequence[tuple[bytes, bytes]]
_STATUS_200: Final = b"\x88"
"""The field ":status: 200", entry 8 of the static table (RFC 7541, appendix A)."""
_OK: Final[tuple[int, Fields]] = (200, ())


class ResponseHeaders:
    """Decodes the header blocks of all responses on one connection, each once and in order."""

    def __init__(self, max_bytes: int) -> None:
        """max_bytes: how long the fields of a response may be together."""
        self._decoder = Decoder(max_bytes)
        self._no_dynamic_table = False

    def decode(self, block: bytes) -> tuple[int, Fields]:
        """Return the status and the fields of a response, () for 200; the status is 0 for trailers.

        Raises FrameError, hpack.HPACKError.
        """
        if self._no_dynamic_table and block.startswith(_STATUS_200):
            return _OK
        fields: Fields = self._decoder.decode(block, raw=True)
        self._no_dynamic_table = self._decoder.header_table_size == 0
        status = status_of(fields)
        if 0 < status < 100:
            raise FrameError("answer without a status")
        return status, () if status == 200 else fields


def status_of(fields: Fields) -> int:
    """Return the status among the fields of a response (RFC 9113, 8.3.2); 0 where there is none."""
    for name, value in fields:
        if name == b":status" and len(value) == 3 and value.isdigit():
            return int(value)
    return 0
