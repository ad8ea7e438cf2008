"""Decoding of a machine's request body (Content-Encoding) within a limit."""

import zlib
from typing import Final

# RFC 9110, 8.4.1.3; "x-gzip" is its old name.
GZIP: Final = frozenset(("gzip", "x-gzip"))
# zlib's window of 32 KB, and a gzip header and trailer around it.
_GZIP_WBITS: Final = 31


class BodyError(Exception):
    """The body cannot be decoded; the text says why, as the end of a sentence that begins with "the push cannot be
    read:"."""


class BodyTooLargeError(Exception):
    """The body is larger than the limit when it is unpacked; `size` in bytes, as far as it was unpacked."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


def decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo the Content-Encoding of a whole body; at most `limit` bytes. Raises BodyError or BodyTooLargeError."""
    encoding = encoding.lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in GZIP:
        raise BodyError("its Content-Encoding is not gzip")
    decompressor = zlib.decompressobj(wbits=_GZIP_WBITS)
    try:
        plain = decompressor.decompress(body, limit + 1)
    except zlib.error:
        raise BodyError("its body is not gzip, as its Content-Encoding says") from None
    if len(plain) > limit:
        raise BodyTooLargeError(len(plain))
    if not decompressor.eof or decompressor.unused_data:
        raise BodyError("its gzip body does not end where it should")
    return plain
