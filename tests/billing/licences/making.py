"""Makes licences for the tests, with RSA keys of their own; nothing of the product's code is in it."""

import base64
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NOW: Final = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
START: Final = datetime(2026, 3, 1, tzinfo=UTC)
END: Final = datetime(2027, 3, 1, tzinfo=UTC)
ID: Final = "abcdefghij0123456789uvwxyz"


@cache
def key(name: str) -> rsa.RSAPrivateKey:
    """The key of an issuer, "first" or "other", made once per process."""
    return rsa.generate_private_key(65537, 2048)


def milliseconds(moment: datetime) -> int:
    """As a licence has a moment."""
    return int(moment.timestamp()) * 1000


def content(**changes: Any) -> dict[str, Any]:
    """What a licence says: Professional for 250 users of Acme, from START to END; `changes` replace top-level keys."""
    return {
        "id": ID,
        "issued_at": milliseconds(START),
        "starts_at": milliseconds(START),
        "expires_at": milliseconds(END),
        "customer": {"id": "c" * 26, "name": "Ada", "email": "ada@acme.example", "company": "Acme GmbH"},
        "features": {"users": 250, "mhpns": True, "ldap": True},
        "sku_name": "Professional",
        "sku_short_name": "professional",
        "is_trial": False,
        "is_gov_sku": False,
        **changes,
    }


def signed(body: bytes, issuer: str = "first") -> bytes:
    """The decoded file: JSON with its signature behind it."""
    return body + key(issuer).sign(body, PKCS1v15(), SHA512())


def of_text(text: str, issuer: str = "first") -> bytes:
    """A file of JSON that is given as text."""
    return base64.b64encode(signed(text.encode(), issuer))


def made(issuer: str = "first", **changes: Any) -> bytes:
    """A file of content(**changes)."""
    return of_text(json.dumps(content(**changes)), issuer)


def lasting(since: datetime, length: timedelta, **changes: Any) -> bytes:
    """A file of a licence from a moment on."""
    return made(starts_at=milliseconds(since), expires_at=milliseconds(since + length), **changes)


def zero_ended() -> bytes:
    """A good file whose signature ends in a zero byte: one in 256 does."""
    for number in range(100_000):
        decoded = signed(json.dumps(content(number=number)).encode())
        if decoded[-1] == 0:
            return base64.b64encode(decoded)
    raise AssertionError("no such signature was found")


def public_pem(issuer: str = "first") -> bytes:
    """The public key of an issuer."""
    return key(issuer).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def key_folder(path: Path, *issuers: str) -> str:
    """A folder with the keys of these issuers (by default "first"), as LICENCE_KEYS names it."""
    path.mkdir(exist_ok=True)
    for issuer in issuers or ("first",):
        (path / f"{issuer}.pem").write_bytes(public_pem(issuer))
    return str(path)
