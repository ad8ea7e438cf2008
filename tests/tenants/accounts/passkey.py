"""A security key in software, as a browser presents it. https://www.w3.org/TR/webauthn-3/"""

import json
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import (
    Aaguid,
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
)

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


class Passkey:
    """One key for one site. `verifies`: whether it asks for a finger or a PIN."""

    def __init__(self, site: str, *, verifies: bool = True) -> None:
        self.site = site
        self.flags = PRESENT | (VERIFIED if verifies else 0)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.id = b"passkey-of-" + site.encode()
        self.user = b""

    def register(self, options: Any, origin: str) -> str:
        """What the browser sends to add the key."""
        creation = options["creation_options"]["publicKey"]
        self.user = creation["user"]["id"]
        known = AttestedCredentialData.create(Aaguid.NONE, self.id, ES256.from_cryptography_key(self.key.public_key()))
        data = AuthenticatorData.create(self._site(), self.flags | ATTESTED, 0, known)
        client = CollectedClientData.create("webauthn.create", creation["challenge"], origin)
        made = {
            "clientDataJSON": websafe_encode(client),
            "attestationObject": websafe_encode(AttestationObject.create("none", data, {})),
        }
        return self._credential(made, clientExtensionResults={"credProps": {"rk": True}})

    def sign(self, options: Any, origin: str) -> str:
        """What the browser sends to log in."""
        challenge = options["request_options"]["publicKey"]["challenge"]
        data = AuthenticatorData.create(self._site(), self.flags, 1)
        client = CollectedClientData.create("webauthn.get", challenge, origin)
        signature = self.key.sign(data + client.hash, ec.ECDSA(hashes.SHA256()))
        made = {
            "clientDataJSON": websafe_encode(client),
            "authenticatorData": websafe_encode(data),
            "signature": websafe_encode(signature),
            "userHandle": self.user,
        }
        return self._credential(made)

    def _site(self) -> bytes:
        return sha256(self.site.encode()).digest()

    def _credential(self, response: dict[str, Any], **more: Any) -> str:
        name = websafe_encode(self.id)
        return json.dumps({"id": name, "rawId": name, "type": "public-key", "response": response, **more})
