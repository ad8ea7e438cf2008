"""Issuers' public keys: PEM files in the folder that the setting LICENCE_KEYS names; a file's name is the issuer's.

Read at each use, so that a key that is put there counts at once. A file that is wrong is left out and named; the
others count. An issuer's name is a part of what makes a licence unique: whoever renames a file lets its licences be
proven a second time.
"""

import re
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from billing.licences.file import SIGNATURE, Issuer

KEY_MAX: Final = 16 * 1024
"""Bytes of a key's file; real ones have less than one KiB."""
NAME_MAX: Final = 64
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")


class Found(NamedTuple):
    """The issuers of a folder, by name, and what is wrong with it: a sentence for each, with the file's name."""

    issuers: list[Issuer]
    problems: list[str]


def load(folder: str) -> Found:
    """The keys in a folder; "" is none, without a problem. What starts with a dot is not looked at."""
    if not folder:
        return Found([], [])
    try:
        paths = sorted(each for each in Path(folder).iterdir() if not each.name.startswith("."))
    except OSError as error:
        return Found([], [f"the folder {folder} cannot be read: {error.strerror}"])
    issuers: list[Issuer] = []
    problems = []
    for path in paths:
        try:
            issuers.append(_issuer(path, issuers))
        except _KeyFileError as error:
            problems.append(f"{path.name} {error}")
    if not issuers and not problems:
        problems.append(f"the folder {folder} holds no key")
    return Found(issuers, problems)


class _KeyFileError(Exception):
    """What is wrong with a file, to be read after its name."""


def _issuer(path: Path, before: list[Issuer]) -> Issuer:
    if path.suffix != ".pem":
        raise _KeyFileError("is not read: a key's file ends in .pem")
    name = path.stem
    if len(name) > NAME_MAX or not _NAME.fullmatch(name):
        raise _KeyFileError(f"is no name of an issuer: at most {NAME_MAX} of a-z, 0-9, dot, _ and -")
    key = _key(path)
    for other in before:
        if other.key.public_numbers() == key.public_numbers():
            raise _KeyFileError(f"is the key of {other.name} once more: a licence would have two issuers")
    return Issuer(name, key)


def _key(path: Path) -> RSAPublicKey:
    try:
        with path.open("rb") as file:
            data = file.read(KEY_MAX + 1)
    except OSError as error:
        raise _KeyFileError(f"cannot be read: {error.strerror}") from error
    if len(data) > KEY_MAX:
        raise _KeyFileError(f"is larger than {KEY_MAX // 1024} KiB")
    if b"PRIVATE KEY" in data:
        raise _KeyFileError("is a private key, which must not be on this machine: put the public one there")
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _KeyFileError("is no public key in PEM") from error
    if not isinstance(key, RSAPublicKey) or key.key_size != SIGNATURE * 8:
        raise _KeyFileError(f"is no RSA key of {SIGNATURE * 8} bits, which licences are signed with")
    return key
