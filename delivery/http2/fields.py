"""Header fields of a request as HPACK writes them (RFC 7541), without a dynamic table. Pure.

Every field is written out in full, so a block never depends on one before it: what pushes have in common is encoded
once and joined to what differs, and a request that was given up leaves nothing behind. The few hundred bytes more cost
less than keeping a table.
"""

from collections.abc import Callable, Iterable
from typing import Final

_POST_HTTPS: Final = b"\x83\x87"
"""Fields 3 (:method: POST) and 7 (:scheme: https) of the static table (RFC 7541, appendix A)."""
_PATH: Final = b"\x04"
_AUTHORITY: Final = b"\x01"
_CONTENT_LENGTH: Final = b"\x0f\x0d"
_PLAIN: Final = b"\x00"
_SECRET: Final = b"\x10"
"""A field that is not put into any table; the second says that no proxy may do so either (RFC 7541, 7.1.3)."""


def text(value: bytes) -> bytes:
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


def field(name: bytes, value: str) -> bytes:
    """Return one field; name is in lower case. UnicodeError if the value is not ASCII, ValueError if not printable."""
    plain = value.encode("ascii")
    if not value.isprintable():
        raise ValueError(f"the value of {name.decode()} holds a control character")
    return (_SECRET if name == b"authorization" else _PLAIN) + text(name) + text(plain)


def short(name: bytes) -> Callable[[str], bytes]:
    """Return a quick field() for a name whose values are ours and have less than 127 printable characters."""
    begin = _PLAIN + text(name)

    def encode(value: str) -> bytes:
        return b"%b%c%b" % (begin, len(value), value.encode("ascii"))

    return encode


def block(fields: Iterable[tuple[bytes, str]]) -> bytes:
    """Return several fields."""
    return b"".join([field(name, value) for name, value in fields])


def opening(authority: str) -> bytes:
    """Return what all requests to an authority ("host" or "host:port") begin with; the path must follow."""
    return _POST_HTTPS + _AUTHORITY + text(authority.encode("ascii")) + _PATH


def ending(length: int) -> bytes:
    """Return the content-length of a body, the last field."""
    digits = b"%d" % length
    return b"%b%c%b" % (_CONTENT_LENGTH, len(digits), digits)
