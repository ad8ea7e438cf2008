"""A push as it waits in the due list: with its attempts, first acceptance and where its server waits.

Sealed, behind its head in the ledger's form: whose it is stays known where no key opens the rest.
"""

from typing import Final

import msgspec

from delivery.outcomes.verdict import Attempt
from delivery.queue import batch, ledger
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
_head = msgspec.json.Decoder(ledger.Head).decode
_END: Final = b"\0"  # of the head: in no JSON


def seal(cipher: vault.QueueCipher, due: DueItem) -> bytes:
    """The item as it stands in Valkey, bound to its trace."""
    item = due.item
    head = _encode(ledger.Head(item.trace, item.at, item.customer, item.server, item.key, item.size))
    return head + _END + cipher.seal_bytes(_encode(due), item.trace.encode())


def head(sealed: bytes) -> ledger.Head | None:
    """Whose a push is; None where that cannot be read either."""
    try:
        return _head(sealed.partition(_END)[0])
    except msgspec.MsgspecError:
        return None


def unseal(cipher: vault.QueueCipher, trace: str, sealed: bytes) -> DueItem:
    """The item again. Raises vault.VaultError where no key opens it now, vault.AlteredError where none ever will."""
    plain = cipher.open_bytes(sealed.partition(_END)[2], trace.encode())
    try:
        return _decode(plain)
    except msgspec.DecodeError as error:
        raise vault.AlteredError(str(error)) from error


def bounded(attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """The attempts that are kept of so many."""
    half = ATTEMPTS_MOST // 2
    return attempts if len(attempts) <= ATTEMPTS_MOST else (*attempts[:half], *attempts[-half:])
