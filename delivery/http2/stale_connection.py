"""Stale connection check: whether the peer has closed a connection that lies idle.

The event loop tells too, but perhaps only after a request was sent, which would be lost then without anybody being
able to say whether it arrived.
"""

import os
import select
import socket
from typing import Final

_ALERT: Final = 21
_APPLICATION_DATA: Final = 23
_ENCRYPTED_ALERT_BYTES: Final = 19
"""In TLS 1.3 an encrypted alert looks like application data: 2 bytes, 1 for its type, 16 for the tag (RFC 8446,
5.2). HTTP/2 frames are longer."""
_RECORD_HEADER_BYTES: Final = 5


def is_dropped(fd: int) -> bool:
    """Tell whether the peer of a TLS socket has closed it or announced so. Reads nothing away."""
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLRDHUP)
    events = poll.poll(0)
    if not events:
        return False
    if events[0][1] & ~select.POLLIN:
        return True
    with socket.socket(fileno=os.dup(fd)) as copy:
        received = copy.recv(4096, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    return _has_alert(received)


def _has_alert(records: bytes) -> bool:
    """Tell whether there is an alert among TLS records (RFC 8446, 5.1): type, version, length, content."""
    at = 0
    while at + _RECORD_HEADER_BYTES <= len(records):
        content_type, length = records[at], int.from_bytes(records[at + 3 : at + 5], "big")
        if content_type == _ALERT or (content_type == _APPLICATION_DATA and length == _ENCRYPTED_ALERT_BYTES):
            return True
        at += _RECORD_HEADER_BYTES + length
    return False
