"""The head of a request that comes again on its connection, byte for byte but for the length of its body.

A server writes the same head before each of its pushes, so that what was read once need not be read again: not by the
parser, nor line by line, nor by whoever found out whose it is. Invariant: what is taken for a head that was read before
has the bytes of one that the parser has let pass, other digits of its Content-Length aside, and stands with all of its
body, and with nothing behind it, at the place where a request begins. So the parser would have read the same.
"""

from typing import Final

from hpns.web.request_head import RequestHead

# Bytes of a head that is remembered: those of a Mattermost server have 200 to 600.
LONGEST: Final = 1024
# Digits of a length that is looked at; a longer body comes in pieces.
_DIGITS: Final = 8
_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"\r\ncontent-length:"


class RepeatedHead:
    """A head that may come again: its bytes before and behind the digits of its body's length, and what they say.

    The head itself is the same object for all requests that have it, so that what was found out by it can be kept with
    it; the Content-Length in it is the last one's, which is read when the request begins.
    """

    __slots__ = ("_after", "_before", "_head")

    def __init__(self, before: bytes, after: bytes, head: RequestHead) -> None:
        self._before, self._after, self._head = before, after, head

    def read(self, data: bytes) -> tuple[RequestHead, bytes] | None:
        """The head and the body of a request that is all of `data`, None where it is not one with this head."""
        if not data.startswith(self._before):
            return None
        begin = len(self._before)
        end = data.find(b"\r", begin, begin + _DIGITS + 1)
        length = data[begin:end]
        if end < 0 or not length.isdigit() or not data.startswith(self._after, end):
            return None
        body = data[end + len(self._after) :]
        if not body or len(body) != int(length):
            return None
        self._head.headers.lines[b"content-length"] = length
        return self._head, body


def learnt(data: bytes, head: RequestHead) -> RepeatedHead | None:
    """What may come again of a request that is all of `data` and has this head; None where that cannot be told.

    The parser has let it pass, with a body of the length that it says.
    """
    end = data.find(_END) + len(_END)
    length = head.headers.lines.get(b"content-length", b"")
    if end > LONGEST or not length.isdigit() or len(data) - end != int(length):
        return None
    lowered = data[: end - 2].lower()
    at = lowered.find(_LENGTH)
    if at < 0 or lowered.find(_LENGTH, at + 1) >= 0:
        return None
    begin = at + len(_LENGTH)
    begin += len(data[begin:end]) - len(data[begin:end].lstrip(b" \t"))
    after = begin + len(length)
    if data[begin:after] != length or data[after : after + 1] != b"\r":
        return None
    return RepeatedHead(data[:begin], data[after:end], head)
