"""The heads of a provider's answers: their status, and of those that are no success the other fields.

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


class Heads:
    """The heads of all answers on one connection, each to be read once and in order."""

    def __init__(self, most: int) -> None:
        """most: bytes that the fields of an answer may have together."""
        self._decoder = Decoder(most)
        self._tableless = False

    def read(self, block: bytes) -> tuple[int, Fields]:
        """Return the status and the fields of an answer, () for 200; the status is 0 for trailers.

        Raises FrameError, hpack.HPACKError.
        """
        if self._tableless and block.startswith(_STATUS_200):
            return _OK
        told: Fields = self._decoder.decode(block, raw=True)
        self._tableless = self._decoder.header_table_size == 0
        status = status_of(told)
        if 0 < status < 100:
            raise FrameError("answer without a status")
        return status, () if status == 200 else told


def status_of(answer: Fields) -> int:
    """Return the status among the fields of an answer (RFC 9113, 8.3.2); 0 where there is none."""
    for name, value in answer:
        if name == b":status" and len(value) == 3 and value.isdigit():
            return int(value)
    return 0
