"""System checks of the TLS certificate: its faults are found before a start, not by the first Mattermost server."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Info
from django.core.checks import Warning as Caution

SOON: Final = timedelta(days=14)


def certificate_is_usable(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """E020: one file alone; E021, E022: unreadable; E023, W020, W021: its time; E024: another key; I020: a slow key."""
    names = ("TLS_CERT_FILE", "TLS_KEY_FILE")
    given = [name for name in names if getattr(settings, name)]
    if not given:
        return []
    if len(given) == 1:
        text = f"{given[0]} is set without the other one: the front door could not speak TLS."
        return [Error(text, hint=f"Set {' and '.join(names)}, or neither.", id="hpns.E020")]
    contents: dict[str, bytes] = {}
    found: list[CheckMessage] = []
    for name in names:
        path = Path(getattr(settings, name))
        try:
            contents[name] = path.read_bytes()
        except OSError as error:
            hint = "The user that runs the service must be able to read it."
            found.append(Error(f"{name} cannot be read: {path}: {error.strerror}.", hint=hint, id="hpns.E021"))
    return found or list(_check_pair(contents["TLS_CERT_FILE"], contents["TLS_KEY_FILE"]))


def _check_pair(cert_pem: bytes, key_pem: bytes) -> Iterator[CheckMessage]:
    try:
        chain = x509.load_pem_x509_certificates(cert_pem)
    except ValueError:
        hint = "It is a PEM file with the server's certificate first, then the certificates between it and the root."
        yield Error("TLS_CERT_FILE holds no certificate.", hint=hint, id="hpns.E022")
        return
    try:
        key = load_pem_private_key(key_pem, None)
    except (ValueError, TypeError):  # TypeError: it has a password
        yield Error(
            "TLS_KEY_FILE holds no key without a password, in PEM.", hint="openssl pkey -in KEY", id="hpns.E022"
        )
        return
    certificate, now = chain[0], datetime.now(UTC)
    renew = "Get a new certificate; it is taken on as soon as the files have changed."
    if certificate.not_valid_after_utc <= now:
        yield Error("The certificate in TLS_CERT_FILE has expired.", hint=renew, id="hpns.E023")
    elif certificate.not_valid_after_utc <= now + SOON:
        text = f"The certificate in TLS_CERT_FILE expires on {certificate.not_valid_after_utc:%Y-%m-%d}."
        yield Caution(text, hint=renew, id="hpns.W020")
    if certificate.not_valid_before_utc > now:
        begin = f"{certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
        text = f"The certificate in TLS_CERT_FILE is not valid before {begin}."
        yield Caution(text, hint="Is this machine's clock right?", id="hpns.W021")
    if _plain(certificate.public_key()) != _plain(key.public_key()):
        text = "TLS_KEY_FILE is not the key of the certificate in TLS_CERT_FILE."
        hint = "Is the server's own certificate the first one in the file?"
        yield Error(text, hint=hint, id="hpns.E024")
    elif not (isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)):
        kind = f"RSA {key.key_size}" if isinstance(key, rsa.RSAPrivateKey) else "not ECDSA P-256"
        text = f"The front door's key is {kind}."
        hint = (
            "ECDSA P-256 costs a fraction of it, and Mattermost servers resume no TLS session: nearly every push of a "
            "small server pays for a whole handshake."
        )
        yield Info(text, hint=hint, id="hpns.I020")


def _plain(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
