"""Opens backups of the first format, which nothing makes any more ("hpns backup 1": before age took its place).

The passphrase becomes a key by scrypt (RFC 7914), from which each file has its own by HKDF. A file is pieces of
AES-256-GCM in the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizar: Online Authenticated-Encryption and its
Nonce-Reuse Misuse-Resistance, 2015): a nonce counts the pieces and marks the last, so that pieces which are altered,
missing, added or in another order are noticed. Invariant: nothing is given out that was not found to be whole.
"""

from collections.abc import Mapping
from typing import Any, BinaryIO, Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from hpns.backup.sealing import Sink
from tenants.problem import ProblemError

FORMAT: Final = "hpns backup 1"
KEY_BYTES: Final = 32
SALT_BYTES: Final = 16
# Bytes of a piece in the clear, and what GCM adds to it.
CHUNK_BYTES: Final = 1 << 20
TAG: Final = 16
# More than this is not asked of a machine by a file that somebody may have altered: 1 GB of memory.
WORK_MAX: Final = 20


class Work(NamedTuple):
    """What scrypt spends on a guess: memory is 128 * 2^log_n * r bytes."""

    log_n: int
    r: int
    p: int


class FirstSeal:
    """The key of one backup. See hpns.backup.sealing.Opener."""

    suffix = ".sealed"

    def __init__(self, passphrase: str, clear: Mapping[str, Any]) -> None:
        """clear: what backup.json holds. Takes as long as the work is. Raises ProblemError for what no backup has."""
        try:
            salt = bytes.fromhex(clear["salt"])
            work = Work(**{name: int(clear["scrypt"][name]) for name in Work._fields})
        except (KeyError, TypeError, ValueError) as error:
            raise ProblemError("backup.json was altered: it lacks what a backup has") from error
        if len(salt) != SALT_BYTES or not (10 <= work.log_n <= WORK_MAX and work.r == 8 and 1 <= work.p <= 4):
            raise ProblemError("backup.json was altered: it asks for a key that no backup has")
        scrypt = Scrypt(salt=salt, length=KEY_BYTES, n=1 << work.log_n, r=work.r, p=work.p)
        self._key = scrypt.derive(passphrase.encode())

    def open_(self, part: str, file: BinaryIO, sink: Sink) -> None:
        """Write what was sealed as `part` into `sink`, piece by piece. Raises ProblemError where it is not whole."""
        name = f"{part}{self.suffix}"
        cipher, number = self.cipher(name), 0
        chunk = file.read(CHUNK_BYTES + TAG)
        while True:
            following = file.read(CHUNK_BYTES + TAG)
            try:
                clear = cipher.decrypt(nonce(number, last=not following), chunk, None)
            except (InvalidTag, ValueError):
                raise ProblemError(
                    f"{name} cannot be opened: another passphrase, or the file was altered or cut short"
                ) from None
            sink.write(clear)
            if not following:
                return
            chunk, number = following, number + 1

    def cipher(self, name: str) -> AESGCM:
        """Return the cipher of a file."""
        key = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"hpns backup:{name}".encode())
        return AESGCM(key.derive(self._key))


def nonce(number: int, *, last: bool) -> bytes:
    """Return the nonce of a piece."""
    return number.to_bytes(11, "big") + bytes([last])
