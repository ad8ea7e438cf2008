"""Streaming encryption with age v1, in bounded memory, so that the stock `age` program opens it, too.

Each file of a backup is sealed by pyrage for an X25519 identity of its own; the identities stand in one identity file,
which is sealed under the passphrase (age_passphrase.py). age's pieces are numbered and the last is marked, so that
pieces which are altered, missing, added or in another order are noticed. Invariants: nothing is given out that was not
found to be whole. No public half of an identity is written anywhere: age does not say who sealed a file, and so only
whoever has opened the identity file can seal one that is taken for ours.
"""

from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, Final, Protocol

import pyrage

from hpns.backup import age_passphrase
from tenants.problem import ProblemError

IDENTITY: Final = "identity.age"
_FOR: Final = "# opens "


class Sink(Protocol):
    """What a stream is written to."""

    def write(self, data: bytes, /) -> int:
        """Take some bytes; how many."""


class Opener(Protocol):
    """What opens the files of a backup, of whichever format. `suffix`: of their names."""

    suffix: str

    def open_(self, part: str, file: BinaryIO, sink: Sink) -> None:
        """Write what was sealed as `part` into `sink`, piece by piece. Raises ProblemError where it is not whole."""


class Seal:
    """The identities of one backup, by the parts that they open."""

    suffix = ".age"

    def __init__(self, identities: dict[str, Any]) -> None:
        """identities: those of pyrage.x25519."""
        self._identities = identities

    @classmethod
    def new(cls, *parts: str) -> "Seal":
        """Make an identity for each part."""
        return cls({part: pyrage.x25519.Identity.generate() for part in parts})

    @classmethod
    def opened(cls, sealed: bytes, passphrase: str) -> "Seal":
        """Open an identity file; takes as long as scrypt's work is. Raises ProblemError."""
        lines = age_passphrase.open_(sealed, passphrase, IDENTITY).decode(errors="replace").splitlines()
        identities = {}
        try:
            for comment, line in zip(lines[::2], lines[1::2], strict=True):
                identities[comment.removeprefix(_FOR).removesuffix(cls.suffix)] = pyrage.x25519.Identity.from_str(line)
        except (ValueError, pyrage.IdentityError):
            raise ProblemError(f"{IDENTITY} was altered: it holds something else than identities") from None
        return cls(identities)

    def identity_file(self, passphrase: str) -> bytes:
        """Return the identity file, sealed. Raises ProblemError for a passphrase that is too short."""
        lines = [f"{_FOR}{part}{self.suffix}\n{identity}\n" for part, identity in self._identities.items()]
        return age_passphrase.seal("".join(lines).encode(), passphrase)

    def close(self, part: str, blocks: Iterable[bytes], sink: Sink) -> None:
        """Seal a stream as `part`, piece by piece. Raises what the blocks and the sink raise."""
        _pump(pyrage.encrypt_io, _Reader(_reading(blocks)), _Writer(sink), self._identities[part].to_public())

    def open_(self, part: str, file: BinaryIO, sink: Sink) -> None:
        """See Opener."""
        name = f"{part}{self.suffix}"
        if part not in self._identities:
            raise ProblemError(f"{IDENTITY} was altered: it does not open {name}")
        try:
            _pump(pyrage.decrypt_io, _Reader(file.read), _Writer(sink), self._identities[part])
        except _PyrageError:
            raise ProblemError(
                f"{name} cannot be opened: it was altered or cut short, or is of another backup"
            ) from None


class _PyrageError(Exception):
    """What pyrage itself found wrong."""


class _Reader:
    """A file to read from. pyrage makes an error of its own of whatever is raised here; failed is the real one."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self.failed: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            return self._read(size)
        except BaseException as error:
            self.failed = error
            raise


class _Writer:
    """A file to write to; otherwise as _Reader."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.failed: BaseException | None = None

    def write(self, data: bytes) -> int:
        try:
            return self._sink.write(data)
        except BaseException as error:
            self.failed = error
            raise

    def flush(self) -> None:
        """Left to whoever has opened the sink."""


def _pump(through: Callable[..., None], reader: _Reader, writer: _Writer, key: Any) -> None:
    """Read, seal or open, and write. Raises what the two raise, else _PyrageError."""
    try:
        through(reader, writer, [key])
    except (pyrage.EncryptError, pyrage.DecryptError, OSError) as error:
        raise reader.failed or writer.failed or _PyrageError(str(error)) from None


def _reading(blocks: Iterable[bytes]) -> Callable[[int], bytes]:
    """Blocks of any size as a file's `read`."""
    following, buffer = iter(blocks), memoryview(b"")

    def read(size: int) -> bytes:
        nonlocal buffer
        while not buffer:
            block = next(following, None)
            if block is None:
                return b""
            buffer = memoryview(block)
        chunk, buffer = buffer[:size], buffer[size:]
        return bytes(chunk)

    return read
