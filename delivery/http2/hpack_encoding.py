"""HPACK encoding of request headers (RFC 7541), without a dynamic table or Huffman coding. Pure.

Every field is written out in full, so a block never depends on one before it: what pushes have in common is encoded
once and joined to what differs, and a request that was given up leaves nothing behind. The few hundred bytes more cost
less than keeping a table.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from hpack import Decoder

_POST_HTTPS: Final = b"\x83\x87"
"""Fields 3 (:method: POST) and 7 (:scheme: https) of the static table (RFC 7541, appendix A)."""
_PATH: Final = b"\x04"
_AUTHORITY: Final = b"\x01"
_CONTENT_LENGTH: Final = b"\x0f\x0d"
_WITHOUT_INDEXING: Final = b"\x00"
_NEVER_INDEXED: Final = b"\x10"
"""A field that is not put into any table; the second says that no proxy may do so either (RFC 7541, 7.1.3)."""


def string_literal(value: bytes) -> bytes:
    """Return a string literal (RFC 7541, 5.2) without Huffman coding."""
    size = len(value)
    if size < 127:
        return b"%c%b" % (size, value)
    size -= 127
    length = bytearray(b"\x7f")
    while size >= 128:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    return bytes(length) + value


def literal_field(name: bytes, value: str) -> bytes:
    """Return one field; name is in lower case. UnicodeError if the value is not ASCII, ValueError if not printable."""
    plain = value.encode("ascii")
    if not value.isprintable():
        raise ValueError(f"the value of {name.decode()} holds a control character")
    representation = _NEVER_INDEXED if name == b"authorization" else _WITHOUT_INDEXING
    return representation + string_literal(name) + string_literal(plain)


def short_field_encoder(name: bytes) -> Callable[[str], bytes]:
    """Return a quick literal_field() for a name whose values are ours and have less than 127 printable characters."""
    prefix = _WITHOUT_INDEXING + string_literal(name)

    def encode(value: str) -> bytes:
        return b"%b%c%b" % (prefix, len(value), value.encode("ascii"))

    return encode


def field_block(fields: Iterable[tuple[bytes, str]]) -> bytes:
    """Return a field block: several fields, one after the other."""
    return b"".join([literal_field(name, value) for name, value in fields])


def request_start(authority: str) -> bytes:
    """Return the pseudo-header fields of a request to an authority ("host" or "host:port"); the path must follow."""
    return _POST_HTTPS + _AUTHORITY + string_literal(authority.encode("ascii")) + _PATH


@lru_cache(maxsize=2048)
def content_length_field(length: int) -> bytes:
    """Return the content-length of a body, the last field."""
    digits = b"%d" % length
    return b"%b%c%b" % (_CONTENT_LENGTH, len(digits), digits)


def header_list_size(block: bytes) -> int:
    """Return the size of a header block of ours as a peer limits it (RFC 9113, 6.5.2): 32 bytes more for each field."""
    return sum(len(name) + len(value) + 32 for name, value in Decoder().decode(block, raw=True))
