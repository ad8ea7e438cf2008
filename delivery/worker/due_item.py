"""A push as it waits in the due list: with its attempts, first acceptance and where its server waits. Sealed."""

from typing import Final

import msgspec

from delivery.outcomes.verdict import Attempt
from delivery.queue import batch
from tenants import vault

# Attempts that are kept: the first and the last of a push whose provider is away for long, so that its row stays small.
ATTEMPTS_MOST: Final = 60


class DueItem(msgspec.Struct, gc=False, array_like=True):
    """One push: its item, what was tried, its batch and its place in it, and what mark that has, as far as is known."""

    item: batch.Item
    attempts: tuple[Attempt, ...]
    batch_id: str
    place: int
    mark: bytes = b""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(DueItem).decode


def seal(cipher: vault.QueueCipher, due: DueItem) -> bytes:
    """The item as it stands in Valkey, bound to its trace."""
    return cipher.seal_bytes(_encode(due), due.item.trace.encode())


def unseal(cipher: vault.QueueCipher, trace: str, sealed: bytes) -> DueItem:
    """The item again. Raises vault.VaultError where no key opens it now, vault.AlteredError where none ever will."""
    plain = cipher.open_bytes(sealed, trace.encode())
    try:
        return _decode(plain)
    except msgspec.DecodeError as error:
        raise vault.AlteredError(str(error)) from error


def bounded(attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """The attempts that are kept of so many."""
    half = ATTEMPTS_MOST // 2
    return attempts if len(attempts) <= ATTEMPTS_MOST else (*attempts[:half], *attempts[-half:])
