"""The tokens in the links of invitations: 32 random bytes, of which only a keyed hash is kept. Pure."""

import secrets
from hashlib import blake2b
from typing import Final

DIGEST_LENGTH: Final = 32
_BYTES: Final = 32
# Server keys and devices are hashed with the same HASH_KEY: the person keeps the kinds of hashes apart.
_PERSON: Final = b"hpns invitation"


def new_token(hash_key: bytes) -> tuple[str, bytes]:
    """Make a token: (its text, for the link alone; its digest under `hash_key`)."""
    text = secrets.token_urlsafe(_BYTES)
    return text, digest(text, hash_key)


def digest(text: str, hash_key: bytes) -> bytes:
    """The keyed hash (BLAKE2b, 32 bytes) under which a token is kept; any text has one."""
    data = text.encode("utf-8", "surrogatepass")
    return blake2b(data, key=hash_key, digest_size=DIGEST_LENGTH, person=_PERSON).digest()
