"""Parses uploaded files in a child process, with limits of processor time, wall time and memory, and of children.

A hostile file can occupy whatever parses it: by the rounds that its password takes, by primes that are to be checked,
by what nobody has thought of. So none of them is parsed in a process that serves. The child gets the file and its
password by its standard input, never by its arguments, which others on the machine can see. It runs at a low priority:
pushes come first.

Invariant: an owner has one child at a time, a process has AT_ONCE, and each ends within its seconds.
"""

import logging
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from tenants.problem import ProblemError
from tenants.providers import recognition
from tenants.providers.base import Parsed, Upload
from tenants.waiting_outside import outside

logger = logging.getLogger(__name__)

AT_ONCE: Final = 4
# Seconds to wait until another owner's file is read: a good one takes less than one.
WAIT: Final = 3.0
_MEMORY: Final = 1 << 30
_NICE: Final = 10
_ROOT: Final = Path(__file__).resolve().parents[2]
# Isolated (-I): nothing of the environment, the user's packages or the working directory has a say in what is imported.
_PROGRAM: Final = (
    *(sys.executable, "-I", "-c"),
    "import sys; sys.path.insert(0, sys.argv[1]); from tenants.credentials.upload_process import main; main()",
    str(_ROOT),
)


class Order(msgspec.Struct):
    """What the child is to do: the members of an Upload, `settings` by name, and how many seconds it may compute."""

    data: bytes
    settings: dict[str, str]
    filename: str
    password: str
    key_id: str
    team_id: str
    now: datetime | None
    option: str
    seconds: int


class _Result(msgspec.Struct):
    """What came of it: a credential, or why not (the text of a ProblemError, and its field)."""

    parsed: Parsed | None = None
    problem: str = ""
    field: str = ""


class _Slots:
    """A semaphore of AT_ONCE slots, of which each owner may hold one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._owners: set[int | None] = set()

    @contextmanager
    def taken(self, owner: int | None, wait: float) -> Iterator[None]:
        """Hold a slot. ProblemError when the owner has one, at once, or when none is free within `wait` seconds."""
        with self._changed:
            # No wait for oneself: whoever uploads again and again would occupy what waits for it.
            if owner in self._owners:
                raise ProblemError("another file of yours is being read: upload this one again when that is done")
            if not self._changed.wait_for(lambda: len(self._owners) < AT_ONCE and owner not in self._owners, wait):
                raise ProblemError("the service is reading other files: upload it again in a minute")
            self._owners.add(owner)
        try:
            yield
        finally:
            with self._changed:
                self._owners.discard(owner)
                self._changed.notify_all()


SLOTS: Final = _Slots()


def parse(order: Order, owner: int | None, seconds: float) -> Parsed:
    """Parse a file in a child process within `seconds`; ProblemError says what is wrong with it, or with the time.

    `owner`: the customer on whose behalf, None for the operator.
    """
    with outside(), SLOTS.taken(owner, WAIT):
        try:
            done = subprocess.run(  # noqa: S603  our own interpreter and code
                _PROGRAM,
                input=msgspec.msgpack.encode(order),
                capture_output=True,
                timeout=seconds,
                check=False,
                env={},  # ours holds the keys of the vault
            )
        except subprocess.TimeoutExpired:
            raise ProblemError(
                f"the file cannot be read within {seconds:g} seconds: export it with fewer rounds"
            ) from None
    try:
        result = msgspec.msgpack.decode(done.stdout, type=_Result)
    except msgspec.DecodeError:
        # Its memory was not enough, or it met an error of ours; whose text may quote from the file.
        error = done.stderr.decode(errors="replace").strip().rpartition("\n")[2].partition(":")[0]
        logger.warning("the reader of an uploaded file ended with %d (%s)", done.returncode, error[:80])
        raise ProblemError("the file cannot be read: get it again where it comes from") from None
    if result.parsed is None:
        raise ProblemError(result.problem, field=result.field)
    return result.parsed


def main() -> None:
    """The child's program: an Order on standard input, a _Result on standard output."""
    order = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Order)
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    # Should the parent be killed first, the child still ends.
    resource.setrlimit(resource.RLIMIT_CPU, (order.seconds, order.seconds))
    upload = Upload(
        order.data,
        order.settings.__getitem__,
        order.filename,
        order.password,
        order.key_id,
        order.team_id,
        order.now,
    )
    try:
        result = _Result(recognition.read(upload, order.option))
    except ProblemError as problem:
        result = _Result(problem=str(problem), field=problem.field)
    sys.stdout.buffer.write(msgspec.msgpack.encode(result))
