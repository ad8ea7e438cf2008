"""The end of a listening socket: from one moment on nobody connects to what is about to be closed.

A connection that the kernel has made and that nobody has accepted is reset when its listening socket is closed, and
between the last look for such ones and the closing there is always a moment. A socket filter that drops every packet
(SO_ATTACH_FILTER, socket(7)) ends it: who connects then is not answered, asks again a second later, and is refused or
taken on by whoever listens by that time. What was connected before is as it was.

The filter stays with the socket for good, whoever has it open and will have: a process that others follow must not set
it, or nobody is served any more.
"""

import ctypes
import logging
import socket
import struct
from typing import Final

logger = logging.getLogger(__name__)

# Of asm-generic/socket.h; Python has no name for it.
SO_ATTACH_FILTER: Final = 26
# One instruction of classic BPF (linux/filter.h): return 0, of the packet nothing is kept.
_DROP: Final = struct.pack("@HBBI", 0x06, 0, 0, 0)


def refuse_newcomers(listener: socket.socket) -> None:
    """Let nobody connect to a listening socket any more, in whichever process it is open."""
    instructions = ctypes.create_string_buffer(_DROP, len(_DROP))
    program = struct.pack("@HP", 1, ctypes.addressof(instructions))
    try:
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
    except OSError as error:  # such as in a sandbox that has no filters
        logger.warning("who connects while this process stops may be reset: %s", error.strerror)
