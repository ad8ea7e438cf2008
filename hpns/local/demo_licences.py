"""The demo's issuer of Mattermost licences, and a set of licences to try: made on the spot, worth nothing elsewhere.

Needs no Django. Invariant: another start leaves them as they are, so that what was proven stays so, until they are
about to end; only the issuer's private key is secret, and it is kept to make them anew.
"""

import base64
import json
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from hpns.local.demo_names import COMPANY
from hpns.local.folder import private

ISSUER: Final = "demo"
ENDING: Final = ".mattermost-license"
ANOTHERS: Final = f"another-account{ENDING}"
"""The file that the demo's neighbour has proven already."""
_KEY: Final = "issuer-private-key.pem"
# They are made anew after so many days; the shortest that has to hold holds for a year.
_FRESH: Final = timedelta(days=300)
_DAY: Final = timedelta(days=1)


def folder(state: Path) -> Path:
    """Where they are, in the state folder."""
    return state / "licences"


def issuers(state: Path) -> Path:
    """What LICENCE_KEYS is set to."""
    return folder(state) / "issuers"


def write(state: Path, now: datetime) -> None:
    """Make what is missing or old in the state folder: the issuer's keys, and each of licences()."""
    issuers(state).mkdir(parents=True, exist_ok=True)
    folder(state).chmod(0o700)
    key = _key(folder(state) / _KEY)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    private(issuers(state) / f"{ISSUER}.pem", public.decode())
    for name, content in licences(now).items():
        path = folder(state) / name
        if not path.exists() or now.timestamp() - path.stat().st_mtime > _FRESH.total_seconds():
            private(path, _signed(content, key))


def licences(now: datetime) -> dict[str, dict[str, Any]]:
    """What is to be tried, by the name of the file."""
    since = now - 30 * _DAY
    return {
        f"e1{ENDING}": _content(since, 365 * _DAY),
        f"expired{ENDING}": _content(now - 400 * _DAY, 365 * _DAY),
        f"trial{ENDING}": _content(now, 30 * _DAY + timedelta(hours=8), is_trial=True),
        f"entry{ENDING}": _content(
            since, 365 * _DAY, sku_name="Entry", sku_short_name="entry", limits={"push_notifications": 10_000}
        ),
        ANOTHERS: _content(since, 365 * _DAY),
    }


def _content(since: datetime, length: timedelta, **changes: Any) -> dict[str, Any]:
    return {
        "id": secrets.token_hex(13),
        "issued_at": _milliseconds(since),
        "starts_at": _milliseconds(since),
        "expires_at": _milliseconds(since) + int(length.total_seconds() * 1000),
        "customer": {"company": COMPANY},
        "features": {"users": 250, "mhpns": True},
        "sku_name": "Professional",
        "sku_short_name": "professional",
        "is_trial": False,
        **changes,
    }


def _milliseconds(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp()) * 1000


def _signed(content: dict[str, Any], key: rsa.RSAPrivateKey) -> str:
    body = json.dumps(content).encode()
    return base64.b64encode(body + key.sign(body, PKCS1v15(), SHA512())).decode()


def _key(path: Path) -> rsa.RSAPrivateKey:
    """The issuer's key, made at the first start."""
    if not path.exists():
        made = rsa.generate_private_key(65537, 2048)
        private(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)  # noqa: S101 - written above
    return key
