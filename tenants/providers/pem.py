"""Reads private keys and certificates in PEM form (RFC 7468), and says in plain words what is wrong with a file.

What every provider's files have in common. No text of a ProblemError quotes from a file.
"""

import re
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from tenants.problem import ProblemError

SIZE_MAX: Final = 100_000
BLOCKS_MAX: Final = 12
"""Blocks that a file may hold: a key, its certificate and all that issued it are four or five."""
# One boundary, not a whole block: the expression for a block tries each beginning against the whole rest of the file.
_BOUNDARY: Final = re.compile(rb"-----(BEGIN|END) ([A-Z0-9 ]{1,64})-----")
# A hostile file may hold a key of any size; checking the primes of a huge one takes minutes.
_RSA_BITS_MAX: Final = 8192


def check_size(data: bytes) -> None:
    """Raise ProblemError for what is too large to be a key, or empty."""
    if len(data) > SIZE_MAX:
        raise ProblemError(f"the file is larger than {SIZE_MAX // 1000} KB, so it is no key")
    if not data.strip():
        raise ProblemError("the file is empty")


def block_names(data: bytes) -> set[bytes]:
    """What kinds of PEM blocks a file holds."""
    return {name for name, _ in blocks(data)}


def blocks(data: bytes) -> list[tuple[bytes, bytes]]:
    """The PEM blocks of a file: the label and the whole block of each. Linear in the size of the file.

    A block that has no end, or another's, is none. ProblemError for more than BLOCKS_MAX beginnings.
    """
    found, label, start, begun = [], b"", 0, 0
    for boundary in _BOUNDARY.finditer(data):
        if boundary[1] == b"BEGIN":
            begun += 1
            if begun > BLOCKS_MAX:
                raise ProblemError(f"the file holds more than {BLOCKS_MAX} PEM blocks: give the key of one app alone")
            label, start = boundary[2], boundary.start()
        elif boundary[2] == label:
            found.append((label, data[start : boundary.end()]))
            label = b""
    return found


def private_key(data: bytes, what: str) -> PrivateKeyTypes:
    """The one private key of a file; ProblemError for none, several, a locked, damaged or absurdly large one.

    `what` names the file in that sentence.
    """
    found = [(name, block) for name, block in blocks(data) if name.endswith(b"PRIVATE KEY")]
    if not found:
        raise ProblemError(f"{what} should hold a private key in PEM form (-----BEGIN PRIVATE KEY-----); it does not")
    if len(found) > 1:
        raise ProblemError(f"{what} holds {len(found)} private keys: which one is meant?")
    try:
        key = serialization.load_pem_private_key(found[0][1], None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(key, rsa.RSAPrivateKey):
            return key
        if key.key_size > _RSA_BITS_MAX:
            raise ProblemError(f"the private key in {what} has {key.key_size} bits; nobody uses more than 8192")
        return serialization.load_pem_private_key(found[0][1], None)
    except TypeError:
        raise ProblemError(f"the private key in {what} is encrypted: give its password, or export it without") from None
    except ValueError:
        raise ProblemError(f"the private key in {what} is damaged") from None
    except UnsupportedAlgorithm:
        raise ProblemError(f"the private key in {what} is of a kind that cannot be read") from None


def to_text(key: PrivateKeyTypes) -> str:
    """A private key as PKCS #8 in PEM form, unencrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
