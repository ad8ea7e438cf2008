"""Streaming encryption under a passphrase, of any length, chunk by chunk, in bounded memory.

The passphrase becomes a key by scrypt (RFC 7914), from which each file has its own by HKDF. A file is pieces of
AES-256-GCM in the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizar: Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance, 2015): a nonce counts the pieces and marks the last, so that pieces which are altered,
missing, added or in another order are noticed. Invariant: nothing is given out that was not found to be whole.
"""

from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from tenants.problem import ProblemError

KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
# Bytes of a piece in the clear, and what GCM adds to it.
CHUNK_BYTES: Final = 1 << 20
TAG: Final = 16
PASSPHRASE_MIN_LENGTH: Final = 12
# More than this is not asked of a machine by a file that somebody may have altered: 1 GB of memory.
WORK_MAX: Final = 20


class Work(NamedTuple):
    """Cost parameters of scrypt: memory is 128 * 2^log_n * r bytes (128 MB)."""

    log_n: int = 17
    r: int = 8
    p: int = 1


class Seal:
    """The key of one backup."""

    def __init__(self, passphrase: str, salt: bytes, work: Work) -> None:
        """Takes as long as the work is. Raises ProblemError for a passphrase that is too short, and for absurd work."""
        if len(passphrase) < PASSPHRASE_MIN_LENGTH:
            raise ProblemError(
                f"the passphrase must have at least {PASSPHRASE_MIN_LENGTH} characters: six words are good"
            )
        if len(salt) != SALT_BYTES or not (10 <= work.log_n <= WORK_MAX and work.r == 8 and 1 <= work.p <= 4):
            raise ProblemError("backup.json was altered: it asks for a key that no backup has")
        scrypt = Scrypt(salt=salt, length=KEY_BYTES, n=1 << work.log_n, r=work.r, p=work.p)
        self._key = scrypt.derive(passphrase.encode())

    def close(self, name: str, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Seal a stream as the file `name`, piece by piece."""
        cipher, number = self._cipher(name), 0
        buffer = bytearray()
        for block in blocks:
            buffer += block
            # The last piece is known to be one only when nothing comes any more.
            while len(buffer) > CHUNK_BYTES:
                yield cipher.encrypt(_nonce(number, last=False), bytes(buffer[:CHUNK_BYTES]), None)
                del buffer[:CHUNK_BYTES]
                number += 1
        yield cipher.encrypt(_nonce(number, last=True), bytes(buffer), None)

    def open_(self, name: str, file: BinaryIO) -> Iterator[bytes]:
        """Open what `close` made, piece by piece. Raises ProblemError where it is not whole."""
        cipher, number = self._cipher(name), 0
        chunk = file.read(CHUNK_BYTES + TAG)
        while True:
            following = file.read(CHUNK_BYTES + TAG)
            try:
                yield cipher.decrypt(_nonce(number, last=not following), chunk, None)
            except (InvalidTag, ValueError):
                raise ProblemError(
                    f"{name} cannot be opened: another passphrase, or the file was altered or cut short"
                ) from None
            if not following:
                return
            chunk, number = following, number + 1

    def _cipher(self, name: str) -> AESGCM:
        key = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"hpns backup:{name}".encode())
        return AESGCM(key.derive(self._key))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
