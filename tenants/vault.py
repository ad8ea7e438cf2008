"""Encryption of secrets at rest: what is sealed here opens only with a key of VAULT_KEYS, and for its purpose.

The first key of the list seals, each key of the list opens; a key is taken out of the list only after everything was
sealed anew (`manage.py credential reseal`). Nothing is ever opened "as far as possible": every failure is a VaultError
that says what to do, and no error quotes a secret.

Two forms: `seal` makes text for a table (Fernet, https://github.com/fernet/spec), `QueueCipher` makes bytes for the
queue (AES-256-GCM, NIST SP 800-38D), cheap enough to run for every batch of pushes.
"""

import base64
import binascii
import json
import os
import re
from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

KEY_BYTES: Final = 32
TEXT_VERSION: Final = "v1"
_KEY_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")
_VERSION: Final = b"\x01"
_TAG_END: Final = 5
_NONCE_END: Final = 17
_GCM_TAG: Final = 16


class VaultError(Exception):
    """Something cannot be sealed or opened; the text says why and what to do, and holds no secret."""


class AlteredError(VaultError):
    """What was sealed was altered, or sealed for another purpose: no key will ever open it."""


def parse_keys(entries: Iterable[str]) -> dict[str, bytes]:
    """Read VAULT_KEYS: entries "id:urlsafe-base64 of 32 bytes" to {id: key}, the primary first.

    Raises VaultError for an empty list, a malformed entry or an id that occurs twice.
    """
    found: dict[str, bytes] = {}
    for number, entry in enumerate(entries, 1):
        key_id, colon, text = entry.partition(":")
        if not colon or not _KEY_ID.fullmatch(key_id):
            raise VaultError(f"entry {number} of VAULT_KEYS does not read id:key (id: letters, digits, - and _)")
        try:
            key = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raise VaultError(f"the key {key_id!r} of VAULT_KEYS is not urlsafe base64") from None
        if len(key) != KEY_BYTES:
            raise VaultError(f"the key {key_id!r} of VAULT_KEYS has {len(key)} bytes instead of {KEY_BYTES}")
        if key_id in found:
            raise VaultError(f"the key id {key_id!r} occurs twice in VAULT_KEYS: give each key an id of its own")
        found[key_id] = key
    if not found:
        raise VaultError("VAULT_KEYS is empty")
    return found


def seal(plain: bytes | dict[str, str], purpose: str) -> str:
    """Seal bytes, or a dict as JSON, with the primary key of the settings: "v1:<key id>:<fernet token>"."""
    return _vault().seal(plain, purpose)


def open_(sealed: str, purpose: str) -> bytes:
    """Open what `seal` made for the same purpose; raises VaultError (which names a key that is missing)."""
    return _vault().open_(sealed, purpose)


def reseal(sealed: str, purpose: str) -> str:
    """The same secret under the primary key; unchanged when that is its key already. Raises VaultError."""
    return _vault().reseal(sealed, purpose)


def queue_cipher(purpose: str) -> "QueueCipher":
    """The QueueCipher of the keys in the settings, for one purpose ("queue", "directory"). Raises VaultError."""
    return QueueCipher(parse_keys(settings.VAULT_KEYS), purpose)


class Vault:
    """Seals and opens text under a given list of keys. Each purpose has derived keys of its own."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        """`keys` as `parse_keys` returns them."""
        self._keys = keys
        self._primary = next(iter(keys))

    def seal(self, plain: bytes | dict[str, str], purpose: str) -> str:
        """See the function of this name."""
        data = json.dumps(plain, separators=(",", ":")).encode() if isinstance(plain, dict) else plain
        return f"{TEXT_VERSION}:{self._primary}:{self._multi_fernet(purpose).encrypt(data).decode()}"

    def open_(self, sealed: str, purpose: str) -> bytes:
        """See the function of this name."""
        key_id, token = self._parts(sealed)
        try:
            return self._multi_fernet(purpose).decrypt(token)
        except InvalidToken:
            raise _altered(key_id) from None

    def reseal(self, sealed: str, purpose: str) -> str:
        """See the function of this name."""
        key_id, token = self._parts(sealed)
        try:
            fresh = self._multi_fernet(purpose).rotate(token)
        except InvalidToken:
            raise _altered(key_id) from None
        return sealed if key_id == self._primary else f"{TEXT_VERSION}:{self._primary}:{fresh.decode()}"

    def _parts(self, sealed: str) -> tuple[str, bytes]:
        version, _, rest = sealed.partition(":")
        key_id, colon, token = rest.partition(":")
        if version != TEXT_VERSION or not colon or not sealed.isascii():
            raise VaultError("this is not a sealed secret (it does not read v1:<key id>:<token>)")
        if key_id not in self._keys:
            raise VaultError(f"sealed with the key {key_id!r}, which is not in VAULT_KEYS: put that key back")
        return key_id, token.encode()

    def _multi_fernet(self, purpose: str) -> MultiFernet:
        return MultiFernet(
            Fernet(base64.urlsafe_b64encode(_derive(key, f"seal:{purpose}"))) for key in self._keys.values()
        )


class QueueCipher:
    """Seals bytes for the queue: 1 byte version, 4 bytes tag of the key, 12 bytes nonce, ciphertext with GCM's tag.

    The nonce is random, not counted: that stays safe in forked processes, and the chance that two of 10^11 batches
    under one key share one is below 10^-6. Safe to use from several threads.
    """

    __slots__ = ("_head", "_openers", "_sealer")

    def __init__(self, keys: dict[str, bytes], purpose: str = "queue") -> None:
        """`keys` as `parse_keys` returns them. Raises VaultError when two keys have the same tag."""
        self._openers: dict[bytes, AESGCM] = {}
        for key_id, key in keys.items():
            tag = blake2b(key_id.encode(), key=_derive(key, f"tag:{purpose}"), digest_size=4).digest()
            if tag in self._openers:
                raise VaultError(f"the key {key_id!r} of VAULT_KEYS has the tag of another: replace it")
            self._openers[tag] = AESGCM(_derive(key, f"queue:{purpose}"))
        primary = next(iter(self._openers))
        self._head = _VERSION + primary
        self._sealer = self._openers[primary]

    def seal_bytes(self, blob: bytes, aad: bytes) -> bytes:
        """Seal with the primary key; `aad` is not stored, and must be the same when opening."""
        nonce = os.urandom(12)
        return b"".join((self._head, nonce, self._sealer.encrypt(nonce, blob, aad)))

    def open_bytes(self, blob: bytes, aad: bytes) -> bytes:
        """Open what `seal_bytes` made with any key of the list.

        Raises AlteredError when no key ever opens it, else VaultError.
        """
        if len(blob) < _NONCE_END + _GCM_TAG:
            raise AlteredError("these bytes are too few to have been sealed")
        if blob[:1] != _VERSION:
            raise VaultError("these bytes were not sealed by this version of the service")
        opener = self._openers.get(blob[1:_TAG_END])
        if opener is None:
            raise VaultError(f"sealed with a key that is not in VAULT_KEYS (tag {blob[1:_TAG_END].hex()}): put it back")
        try:
            return opener.decrypt(blob[_TAG_END:_NONCE_END], memoryview(blob)[_NONCE_END:], aad)
        except InvalidTag:
            raise AlteredError("sealed bytes were altered, or sealed for another purpose") from None


def _altered(key_id: str) -> VaultError:
    return VaultError(
        f"cannot be opened with the key {key_id!r}: it was altered, sealed for another purpose, "
        "or that id now stands for another key in VAULT_KEYS"
    )


def _derive(key: bytes, info: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=f"hpns:{info}".encode()).derive(key)


def _vault() -> Vault:
    return _vault_of(tuple(settings.VAULT_KEYS))


@lru_cache(maxsize=4)
def _vault_of(entries: tuple[str, ...]) -> Vault:
    return Vault(parse_keys(entries))
