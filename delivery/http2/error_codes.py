"""HTTP/2 error codes (RFC 9113, 7) in words, and the debug data of a GOAWAY as a line that may be logged and shown."""

import re
from typing import Final

import msgspec

NAMES: Final = (
    *("NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED"),
    *("FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM"),
    *("INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED"),
)
LONGEST_DEBUG_DATA: Final = 80
"""Characters; the peer may send 16 KB."""
_UNPRINTABLE: Final = re.compile(rb"[^\x20-\x7e]+")
_LONG_WORD: Final = re.compile(r"[\w+/=.~-]{24,}", re.ASCII)
"""May be a token or a key of ours that the peer repeats; no reason is one word of that length."""


class _Debug(msgspec.Struct, gc=False):
    reason: str


_decode: Final = msgspec.json.Decoder(_Debug).decode


def name(error_code: int) -> str:
    """Return the name of an error code, or its number where there is none."""
    return NAMES[error_code] if error_code < len(NAMES) else str(error_code)


def goaway_text(error_code: int, debug_data: bytes) -> str:
    """Return what a GOAWAY says: the error code, and the debug data in printable ASCII, shortened, without secrets."""
    # Cut before the words are looked at, and with what a word may need behind the cut to be seen as long.
    shown = _UNPRINTABLE.sub(b" ", debug_data[: LONGEST_DEBUG_DATA + 24]).decode("ascii")
    shown = _LONG_WORD.sub("...", shown).strip()[:LONGEST_DEBUG_DATA]
    return f"GOAWAY {name(error_code)}: {shown}" if shown else f"GOAWAY {name(error_code)}"


def goaway_reason(debug_data: bytes) -> str:
    """Return the reason in the debug data of a GOAWAY, as Apple writes it: {"reason":"..."}; "" where there is none."""
    try:
        return _decode(debug_data).reason
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
