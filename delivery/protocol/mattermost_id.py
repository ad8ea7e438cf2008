"""Codec of Mattermost's ids: 26 characters of z-base-32 are 16 bytes, and whatever else a member holds is kept as text.

A Mattermost server names its posts, acks and everything else by 26 characters out of 16 random bytes, encoded without
padding in an alphabet of its own (https://github.com/mattermost/mattermost/blob/master/server/public/model/utils.go,
NewId). Packed, an id takes 17 bytes in a table and an index in place of 27. What is no such id is packed as the byte
0xFF and its UTF-8, which the length tells apart: 16 bytes are an id, anything else is text. Pure, no I/O.
"""

from typing import Final

LENGTH: Final = 26
ALPHABET: Final = "ybndrfg8ejkmcpqxot1uwisza345h769"
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuv"
# Python's own base 32, so that int() reads it; what is not in the alphabet becomes a digit that int() refuses.
_TO_DIGITS: Final = bytes(
    ord(_DIGITS[ALPHABET.index(chr(code))]) if chr(code) in ALPHABET else ord("!") for code in range(256)
)
_SIZE: Final = 16
_SPARE_BITS: Final = 2
_SPARE: Final = 3
_BITS: Final = 5 * LENGTH
_LOW: Final = (1 << _BITS) - 1
_MARK: Final = b"\xff"
NULL: Final = "\\N"


def _number(text: str) -> int | None:
    """The 130 bits of an id, the last two of which are zero; None for what is none."""
    if len(text) != LENGTH or not text.isascii():
        return None
    try:
        number = int(text.encode().translate(_TO_DIGITS), 32)
    except ValueError:
        return None
    return None if number & _SPARE else number


def pack(text: str) -> bytes | None:
    """An id as 16 bytes, any other text as 0xFF and its UTF-8 (17 bytes and more, or fewer than 16); None for ""."""
    number = _number(text)
    if number is not None:
        return (number >> _SPARE_BITS).to_bytes(_SIZE, "big")
    if not text:
        return None
    packed = _MARK + text.encode()
    return _MARK + packed if len(packed) == _SIZE else packed


def unpack(packed: bytes | None) -> str:
    """The text that was packed; "" for None."""
    if packed is None:
        return ""
    if len(packed) != _SIZE:
        return packed.lstrip(_MARK).decode()  # UTF-8 has no byte 0xFF
    number = int.from_bytes(packed, "big") << _SPARE_BITS
    return "".join(ALPHABET[number >> shift & 31] for shift in range(5 * (LENGTH - 1), -1, -5))


def copy_text(text: str) -> str:
    """The packed id as COPY reads a bytea in its text format: NULL, or two backslashes, x and hex digits."""
    number = _number(text)
    if number is not None:
        return f"\\\\x{(number >> _SPARE_BITS).to_bytes(_SIZE, 'big').hex()}"
    packed = pack(text)
    return NULL if packed is None else f"\\\\x{packed.hex()}"


def copy_texts(first: str, second: str) -> str:
    """Two ids as neighbouring columns of COPY; both at once, since they are packed for each push."""
    if len(first) == len(second) == LENGTH and first.isascii() and second.isascii():
        try:
            number = int((first + second).encode().translate(_TO_DIGITS), 32)
        except ValueError:
            pass
        else:
            high, low = number >> _BITS, number & _LOW
            if not (high | low) & _SPARE:
                # A format of numbers as hex digits costs three times as much.
                packed = ((high >> _SPARE_BITS) << 8 * _SIZE | low >> _SPARE_BITS).to_bytes(2 * _SIZE, "big").hex()
                return f"\\\\x{packed[: 2 * _SIZE]}\t\\\\x{packed[2 * _SIZE :]}"
    return f"{copy_text(first)}\t{copy_text(second)}"
