"""Server keys (API keys of Mattermost servers): their form, and the keyed hash that is kept in their place. Pure.

A key reads `hk_<prefix>_<secret>`: 8 and 32 characters of base62, so that it needs no escaping in a URL's path or
userinfo. The prefix finds the row and may be shown; of the rest only a keyed hash is kept, so that a stolen database
holds no usable key. 32 characters are 190 bits of chance, which is why a fast hash is enough here.
"""

import secrets
from hashlib import blake2b
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
MARK: Final = "hk_"
PREFIX_LENGTH: Final = 8
SECRET_LENGTH: Final = 32
LENGTH: Final = len(MARK) + PREFIX_LENGTH + 1 + SECRET_LENGTH
DIGEST_LENGTH: Final = 32
HASH_KEY_MIN: Final = 32
HASH_KEY_MAX: Final = blake2b.MAX_KEY_SIZE

_PREFIX_END: Final = len(MARK) + PREFIX_LENGTH
# Device fingerprints are made with the same HASH_KEY: the person keeps the two kinds of hashes apart.
_PERSON: Final = b"hpns server key"
_DERIVED: Final = b"hpns derived key"


def new_key(hash_key: bytes) -> tuple[str, str, bytes]:
    """Make a key: (its text, to be shown once; its prefix; its digest of 32 bytes under `hash_key`)."""
    prefix = _chance(PREFIX_LENGTH)
    text = f"{MARK}{prefix}_{_chance(SECRET_LENGTH)}"
    return text, prefix, digest(text, hash_key)


def derived_key(hash_key: bytes, purpose: str) -> tuple[str, str, bytes]:
    """A key as new_key() makes it, but always the same for a `purpose`: for what the service itself carries.

    Its text need be kept nowhere, for whoever has `hash_key` can make it again.
    """
    number = int.from_bytes(blake2b(purpose.encode(), key=hash_key, person=_DERIVED).digest())
    drawn = []
    for _ in range(PREFIX_LENGTH + SECRET_LENGTH):
        number, place = divmod(number, len(ALPHABET))
        drawn.append(ALPHABET[place])
    found = "".join(drawn)
    text = f"{MARK}{found[:PREFIX_LENGTH]}_{found[PREFIX_LENGTH:]}"
    return text, found[:PREFIX_LENGTH], digest(text, hash_key)


def parse(text: str) -> tuple[str, str] | None:
    """Split a key into (prefix, secret); None for any text that is not of a key's form."""
    if len(text) != LENGTH or not text.startswith(MARK) or text[_PREFIX_END] != "_":
        return None
    prefix, secret = text[len(MARK) : _PREFIX_END], text[_PREFIX_END + 1 :]
    if text.isascii() and prefix.isalnum() and secret.isalnum():
        return prefix, secret
    return None


def prefix(text: str) -> str:
    """The prefix of a text that begins as a key does, whatever follows; "" for any other."""
    found = text[len(MARK) : _PREFIX_END]
    is_one = text.startswith(MARK) and len(found) == PREFIX_LENGTH and found.isascii() and found.isalnum()
    return found if is_one and text[_PREFIX_END : _PREFIX_END + 1] in ("", "_") else ""


def digest(text: str, hash_key: bytes) -> bytes:
    """The keyed hash (BLAKE2b, RFC 7693, 32 bytes) under which a key's whole text is kept.

    Raises ValueError for a `hash_key` of more than 64 bytes.
    """
    return blake2b(text.encode(), key=hash_key, digest_size=DIGEST_LENGTH, person=_PERSON).digest()


def _chance(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
