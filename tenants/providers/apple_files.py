"""Reads the files that Apple gives for signing pushes, and says in plain words what is wrong with one.

A file is understood completely before it is kept: what this module lets pass is a key of the right kind, in a form of
our own, and nothing else of the file is kept. No text of a ProblemError quotes from a file.
"""

import re
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tenants.problem import ProblemError
from tenants.providers import apple_certificate, password_files, pem
from tenants.providers.base import Parsed

# https://developer.apple.com/documentation/usernotifications/establishing-a-token-based-connection-to-apns
_APPLE_ID: Final = re.compile(r"[A-Z0-9]{10}")


def apple_key(data: bytes, *, key_id: str, team_id: str) -> Parsed:
    """A token key: the .p8 file of Apple's developer pages, with its key id and the team's id."""
    pem.check_size(data)
    if not _APPLE_ID.fullmatch(key_id):
        raise ProblemError(
            "the key id must be 10 capital letters and digits, as in the name AuthKey_<key id>.p8", field="key_id"
        )
    if not _APPLE_ID.fullmatch(team_id):
        raise ProblemError(
            "the team id must be 10 capital letters and digits, as in Apple's membership details", field="team_id"
        )
    if key_id == team_id:
        raise ProblemError(
            "the key id and the team id are the same: the team id is in Apple's membership details", field="team_id"
        )
    if b"CERTIFICATE" in pem.block_names(data):
        raise ProblemError("the file holds a certificate: add it as a certificate (--pem), or give the .p8 file")
    key = pem.private_key(data, "a .p8 file of Apple")
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ProblemError("the file holds a key, but no elliptic-curve one as Apple's .p8 files do")
    if not isinstance(key.curve, ec.SECP256R1):
        raise ProblemError(f"the key is on the curve {key.curve.name}; Apple's are on P-256 (secp256r1)")
    return Parsed(
        "apns_key", {"key_pem": pem.to_text(key), "key_id": key_id, "team_id": team_id}, f"{team_id}/{key_id}"
    )


def apple_certificate_pem(data: bytes, *, password: str = "", now: datetime | None = None) -> Parsed:
    """A push certificate with its private key, both in one PEM file; `password` for an encrypted key."""
    pem.check_size(data)
    if password:
        data = password_files.decrypted(data, password)
    certificates: list[x509.Certificate] = []
    for name, block in pem.blocks(data):
        if name == b"CERTIFICATE":
            try:
                certificates.append(x509.load_pem_x509_certificate(block))
            except (ValueError, UnsupportedAlgorithm):
                raise ProblemError("the file holds a certificate that cannot be read") from None
    if not certificates:
        raise ProblemError("the file holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)")
    key = pem.private_key(data, "the certificate's file")
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ProblemError("the certificate's private key is neither RSA nor elliptic-curve")
    mine = [certificate for certificate in certificates if certificate.public_key() == key.public_key()]
    if not mine:
        raise ProblemError("the private key does not belong to the certificate: export both together")
    info = apple_certificate.read(mine[0])
    if info.purpose:
        raise ProblemError(f"this is a certificate for {info.purpose}, not for pushes: make an Apple Push Services one")
    now = now or datetime.now(UTC)
    if info.until <= now:
        raise ProblemError(f"the certificate expired on {info.until:%Y-%m-%d}: make a new one in Apple's account")
    if info.since > now:
        raise ProblemError(f"the certificate is not valid before {info.since:%Y-%m-%d}: is this machine's clock right?")
    if not info.topics:
        raise ProblemError("the certificate names no app, so it is none for Apple's push service")
    ordered = [mine[0], *(certificate for certificate in certificates if certificate is not mine[0])]
    chain = b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in ordered)
    secret = {"cert_pem": chain.decode(), "key_pem": pem.to_text(key)}
    return Parsed("apns_cert", secret, info.serial, info.until, info.topics, info.hosts)


def apple_certificate_p12(data: bytes, *, password: str = "", now: datetime | None = None) -> Parsed:
    """A push certificate with its private key in a .p12 file, as the Mac's keychain exports it."""
    pem.check_size(data)
    return apple_certificate_pem(password_files.p12_to_pem(data, password), now=now)
