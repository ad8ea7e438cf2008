"""The passphrase recipient of age v1: a small file sealed under a passphrase, with a known amount of work (scrypt).

Source: the format's specification (C2SP, age.md: the header, the scrypt recipient stanza, the payload). pyrage reads
such files. It is not let write them, for it makes the work what a second seems to allow just then: 2^15 on a busy
machine, where guessing is cheap, and 2^20 on the same machine at another time, which is a gigabyte of memory.
"""

import base64
import os
import re
from typing import Final

import pyrage
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from tenants.problem import ProblemError

PASSPHRASE_MIN_LENGTH: Final = 12
LOG_N: Final = 17
"""The binary logarithm of scrypt's cost for one guess: 128 MB of memory."""
MOST_LOG_N: Final = 20
"""More than this is not asked of a machine by a file that somebody may have altered: 1 GB of memory."""
LONGEST: Final = 65_536
"""Bytes that one piece of an age file holds; nothing longer is sealed here, nor read."""
_LABEL: Final = b"age-encryption.org/v1/scrypt"
_HEAD: Final = re.compile(rb"age-encryption\.org/v1\n-> scrypt [A-Za-z0-9+/]{22} ([1-9][0-9]?)\n")


def seal(content: bytes, passphrase: str) -> bytes:
    """Seal a short content as a file of age. Raises ProblemError for a passphrase that is too short."""
    _refuse_a_short_one(passphrase)
    if len(content) > LONGEST:
        raise ValueError("one piece of an age file holds no more")
    file_key, salt, nonce = (os.urandom(16) for _ in range(3))
    scrypt = Scrypt(salt=_LABEL + salt, length=32, n=1 << LOG_N, r=8, p=1)
    wrapped = ChaCha20Poly1305(scrypt.derive(passphrase.encode())).encrypt(bytes(12), file_key, None)
    head = b"age-encryption.org/v1\n-> scrypt %b %d\n%b\n---" % (_base64(salt), LOG_N, _base64(wrapped))
    mac = HMAC(_derived(file_key, b"", b"header"), SHA256())
    mac.update(head)
    # The payload's nonce: piece number zero, which is the last one.
    payload = ChaCha20Poly1305(_derived(file_key, nonce, b"payload")).encrypt(bytes(11) + b"\x01", content, None)
    return b"%b %b\n%b%b" % (head, _base64(mac.finalize()), nonce, payload)


def open_(sealed: bytes, passphrase: str, name: str) -> bytes:
    """Return what was sealed. `name`: the file's, for people. Raises ProblemError."""
    _refuse_a_short_one(passphrase)
    head = _HEAD.match(sealed)
    if head is None or len(sealed) > 2 * LONGEST:
        raise ProblemError(f"{name} was altered: it is no short file that age sealed under a passphrase")
    if int(head[1]) > MOST_LOG_N:
        raise ProblemError(f"{name} was altered: it asks for work that no backup asks for")
    try:
        return bytes(pyrage.passphrase.decrypt(sealed, passphrase))
    except pyrage.DecryptError as error:
        raise ProblemError(
            f"{name} cannot be opened: another passphrase, or the file was altered or cut short "
            f"({str(error).partition(chr(10))[0]})"
        ) from None


def _refuse_a_short_one(passphrase: str) -> None:
    if len(passphrase) < PASSPHRASE_MIN_LENGTH:
        raise ProblemError(f"the passphrase must have at least {PASSPHRASE_MIN_LENGTH} characters: six words are good")


def _derived(file_key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(file_key)


def _base64(value: bytes) -> bytes:
    return base64.b64encode(value).rstrip(b"=")
