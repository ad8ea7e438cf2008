"""Signatures of pushes: an ES256 JWT (RFC 7515, RFC 7518 3.4) over {ack_id, device_id}, by the installation's key.

Reading and verifying are two steps, so that the web process, which knows the device token, hands on nothing but a
digest: SHA-256 of the signing input with the 64 bytes of r and s is all that verification needs. Pure.
"""

import hashlib
import json
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from functools import lru_cache
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

# Characters of a signature; real ones have 282 to 414, the longest with tokens of FCM.
LENGTH_MAX: Final = 4_096
# Characters of a public key; one of P-256 has 124.
KEY_LENGTH_MAX: Final = 400
DIGEST_LENGTH: Final = 32
SIGNATURE_LENGTH: Final = 64
# What the reference proxy puts where there is none.
NO_SIGNATURE: Final = "NO_SIGNATURE"
_HALF: Final = SIGNATURE_LENGTH // 2
_PREHASHED: Final = ec.ECDSA(Prehashed(SHA256()))


class Unsigned(Exception):
    """The push carries no signature."""


class BadSignature(Exception):
    """What stands in the place of the signature is none of this push; the text is one word for it."""


class BadKey(ValueError):
    """The text is no public key of P-256."""


class Signed(NamedTuple):
    """A signature of a push whose claims were compared with it: digest of the signing input, and r and s (64 bytes)."""

    digest: bytes
    signature: bytes

    @property
    def r_s(self) -> tuple[int, int]:
        """The two numbers of the signature."""
        return int.from_bytes(self.signature[:_HALF], "big"), int.from_bytes(self.signature[_HALF:], "big")


def read(signature: str, ack_id: str, device_id: str) -> Signed:
    """Read the signature of a push with this ack_id and device_id. Raises Unsigned or BadSignature.

    Only the header's `alg` ES256 is taken: neither `none` nor HS256, for which a public key would be a secret.
    """
    if not signature or signature == NO_SIGNATURE:
        raise Unsigned
    if len(signature) > LENGTH_MAX or not signature.isascii():
        raise BadSignature("malformed")
    parts = signature.split(".")
    if len(parts) != 3:
        raise BadSignature("malformed")
    try:
        header, claims, numbers = json.loads(_decode(parts[0])), json.loads(_decode(parts[1])), _decode(parts[2])
    except (ValueError, RecursionError):
        raise BadSignature("malformed") from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise BadSignature("malformed")
    # An extension that must be understood (RFC 7515, 4.1.11) is one that we do not know.
    if header.get("alg") != "ES256" or "crit" in header or len(numbers) != SIGNATURE_LENGTH:
        raise BadSignature("algorithm")
    if not ack_id or not device_id or claims.get("ack_id") != ack_id or claims.get("device_id") != device_id:
        raise BadSignature("other_push")
    return Signed(hashlib.sha256(f"{parts[0]}.{parts[1]}".encode()).digest(), numbers)


def _decode(text: str) -> bytes:
    """Bytes of base64url without padding (RFC 7515, 2). Raises ValueError."""
    try:
        return a2b_base64(
            text.replace("+", "!").replace("/", "!").replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4),
            strict_mode=True,
        )
    except Base64Error as error:
        raise ValueError("no base64url") from error


def public_key(text: str) -> str:
    """The one spelling of a public key: base64 of its SubjectPublicKeyInfo, as Mattermost publishes it.

    Raises BadKey for anything but a key of P-256.
    """
    return spelled(_load(text.strip()))


def spelled(key: ec.EllipticCurvePublicKey) -> str:
    """A key as Mattermost publishes it."""
    return b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def fingerprint(text: str) -> str:
    """The beginning of a public key's SHA-256 in hexadecimal, for people."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=1_024)
def _load(text: str) -> ec.EllipticCurvePublicKey:
    if len(text) > KEY_LENGTH_MAX:
        raise BadKey("it is longer than a public key is")
    try:
        key = load_der_public_key(a2b_base64(text, strict_mode=True))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey("it cannot be read as a public key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise BadKey("it is no public key of the curve P-256")
    return key


def verify(key: str, signed: Signed) -> bool:
    """Whether a signature was made with the private half of this public key. Raises BadKey."""
    try:
        _load(key).verify(encode_dss_signature(*signed.r_s), signed.digest, _PREHASHED)
    except InvalidSignature:
        return False
    return True
