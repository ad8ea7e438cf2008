"""Encryption of credential secrets at rest: sealed for one app, so that one opens in no other app's row.

What is inside depends on the kind and is said by the provider's file in tenants/providers; all values are text.
"""

import msgspec

from tenants import vault
from tenants.directory.snapshot import AppRow

_DECODER = msgspec.json.Decoder(dict[str, str])


def seal(app_id: int, secret: dict[str, str]) -> str:
    """The sealed text to store with this app."""
    return vault.seal(secret, _purpose(app_id))


def open_(app_id: int, sealed: str) -> dict[str, str]:
    """The secret of this app's credential. Raises vault.VaultError."""
    try:
        return _DECODER.decode(vault.open_(sealed, _purpose(app_id)))
    except msgspec.DecodeError:
        raise vault.VaultError("what was sealed is not a credential") from None


def reseal(app_id: int, sealed: str) -> str:
    """The same under the primary key of the vault. Raises vault.VaultError."""
    return vault.reseal(sealed, _purpose(app_id))


def secret(app: AppRow) -> dict[str, str]:
    """The secret that an app of the directory is signed with. Raises vault.VaultError."""
    return open_(app.app_id, app.sealed)


def _purpose(app_id: int) -> str:
    return f"credential of app {app_id}"
