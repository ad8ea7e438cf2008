"""Encrypted sessions: while somebody sets up a second factor, its secret is in its session's data.

Django signs sessions and packs them, which hides nothing from whoever reads the table. One whose key is no longer in
VAULT_KEYS is an empty session: that person logs in again.
"""

import json
from typing import Any, Final

from tenants import vault

_PURPOSE: Final = "session"
_AAD: Final = b"session"


class Serializer:
    """For settings.SESSION_SERIALIZER: JSON, sealed."""

    def dumps(self, obj: Any) -> bytes:
        """Seal a session's data."""
        data = json.dumps(obj, separators=(",", ":")).encode("latin-1")
        return vault.queue_cipher(_PURPOSE).seal_bytes(data, _AAD)

    def loads(self, data: bytes) -> Any:
        """Open it. Raises VaultError, which Django takes for an empty session."""
        return json.loads(vault.queue_cipher(_PURPOSE).open_bytes(data, _AAD))
