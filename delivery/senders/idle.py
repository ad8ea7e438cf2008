"""Whether the other side has closed a connection that lies idle.

libcurl looks itself before it uses a connection again, and yet takes one that was ended in good order (TLS
close_notify) for a live one; the request sent on it would be lost, and nobody could say whether it arrived.
Invariant: a socket is looked at only while it is the very one that libcurl left idle: libcurl may close it at any
time, and its number be used again.
"""

import os
import select
import socket
import stat
from typing import Final

_ALERT: Final = 21
_SEALED: Final = 23
_SEALED_ALERT_BYTES: Final = 19
"""In TLS 1.3 an alert looks like data: 2 bytes, 1 for its type, 16 for the tag (RFC 8446, 5.2). HTTP/2 frames are
longer."""
_HEADER_BYTES: Final = 5


def hung_up(fd: int) -> bool:
    """Tell whether the peer of a TLS socket has closed it or announced so. Reads nothing away."""
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLRDHUP)
    events = poll.poll(0)
    if not events:
        return False
    if events[0][1] & ~select.POLLIN:
        return True
    with socket.socket(fileno=os.dup(fd)) as copy:
        waiting = copy.recv(4096, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    return _has_alert(waiting)


def _has_alert(records: bytes) -> bool:
    """Walk over TLS records (RFC 8446, 5.1): type, version, length, content."""
    at = 0
    while at + _HEADER_BYTES <= len(records):
        kind, length = records[at], int.from_bytes(records[at + 3 : at + 5], "big")
        if kind == _ALERT or (kind == _SEALED and length == _SEALED_ALERT_BYTES):
            return True
        at += _HEADER_BYTES + length
    return False


class IdleSockets:
    """The sockets that libcurl no longer watches, because no request is on them."""

    def __init__(self) -> None:
        """Start with none."""
        self._inodes: dict[int, int] = {}

    def left(self, fd: int) -> None:
        """Note that fd is watched no longer: it lies idle, or libcurl is about to close it."""
        found = os.fstat(fd)
        if stat.S_ISSOCK(found.st_mode):
            self._inodes[fd] = found.st_ino

    def taken(self, fd: int) -> None:
        """Note that fd is in use (again)."""
        self._inodes.pop(fd, None)

    def any_hung_up(self) -> bool:
        """Tell whether one of those that still exist was closed by the other side."""
        for fd, inode in list(self._inodes.items()):
            try:
                if os.fstat(fd).st_ino == inode:
                    if hung_up(fd):
                        return True
                    continue
            except OSError:
                pass  # closed by libcurl since
            del self._inodes[fd]
        return False
