"""What a process asks of the kernel about itself, such as the signal it gets when its parent dies: Linux' prctl(2)."""

import ctypes
import os
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, value: int) -> None:
    """Linux' prctl(2) with one argument. Raises OSError."""
    if _libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def set_title(title: str) -> None:
    """Let this process be called `title` in lists of processes, in place of the command that it was started by, as far
    as there is room. proc(5), fields 48 and 49 of stat"""
    fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    begin, end = int(fields[45]), int(fields[46])
    room = end - begin
    if begin and room > 0:
        ctypes.memmove(begin, os.fsencode(title)[: room - 1].ljust(room, b"\0"), room)


def trim() -> None:
    """Give the kernel back what the C library holds of freed memory. malloc_trim(3), which not every C library has."""
    give_back = getattr(_libc, "malloc_trim", None)
    if give_back is not None:
        give_back(0)
