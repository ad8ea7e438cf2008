"""Files as Apple and Google hand them out, made on the spot."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID, ObjectIdentifier

NOW = datetime(2026, 6, 1, tzinfo=UTC)
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
APPLE = "1.2.840.113635.100.6.3"


def pem(key: Any, password: bytes = b"", form: str = "PKCS8") -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, getattr(serialization.PrivateFormat, form), encryption)


def p8(curve: ec.EllipticCurve | None = None) -> bytes:
    return pem(ec.generate_private_key(curve or ec.SECP256R1()))


def certificate(
    key: CertificateIssuerPrivateKeyTypes = RSA_KEY,
    *,
    uid: str = "com.example.app",
    name: str = "Apple Push Services: com.example.app",
    hosts: str = "12",
    topics: bytes = b"",
    since: timedelta = timedelta(days=-10),
    until: timedelta = timedelta(days=300),
    now: datetime = NOW,
) -> x509.Certificate:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
    if uid:
        attributes.append(x509.NameAttribute(NameOID.USER_ID, uid))
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(attributes))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test WWDR")]))
        .public_key(key.public_key())
        .serial_number(0xABCDEF)
        .not_valid_before(now + since)
        .not_valid_after(now + until)
    )
    for host in hosts:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(ObjectIdentifier(f"{APPLE}.{host}"), b"\x05\x00"), False
        )
    if topics:
        builder = builder.add_extension(x509.UnrecognizedExtension(ObjectIdentifier(f"{APPLE}.6"), topics), False)
    return builder.sign(key, hashes.SHA256())


def certificate_pem(made: x509.Certificate | None = None, key: bytes | None = None) -> bytes:
    made = made or certificate()
    return made.public_bytes(serialization.Encoding.PEM) + (pem(RSA_KEY) if key is None else key)


def p12(password: bytes = b"pw", made: x509.Certificate | None = None, key: Any = RSA_KEY) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2048).build(password)
    return pkcs12.serialize_key_and_certificates(b"push", key, made or certificate(), None, encryption)


def endless_p12() -> bytes:
    """A .p12 file whose integrity check (RFC 7292, MacData) wants 2^31 - 1 rounds instead of 2048."""
    data = p12(b"pw")
    # The DigestInfo of SHA-256; before it stands the length of MacData, at the end its number of rounds.
    at = data.rindex(bytes.fromhex("3031300d0609608648016503040201")) - 1
    assert data[:2] == b"\x30\x82"
    assert data.endswith(b"\x02\x02\x08\x00")
    whole = (int.from_bytes(data[2:4], "big") + 2).to_bytes(2, "big")
    return data[:2] + whole + data[4:at] + bytes([data[at] + 2]) + data[at + 1 : -4] + b"\x02\x04\x7f\xff\xff\xff"


def account(**changed: Any) -> bytes:
    """A service account's JSON; a member that is set to None is left out."""
    members = {
        "type": "service_account",
        "project_id": "demo-project",
        "private_key_id": "0123456789abcdef0123456789abcdef01234567",
        "private_key": pem(RSA_KEY).decode(),
        "client_email": "push@demo-project.iam.gserviceaccount.com",
        "client_id": "1",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "https://oauth2.googleapis.com/token",
        "universe_domain": "googleapis.com",
        **changed,
    }
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()


def der(kind: int, value: bytes) -> bytes:
    length = bytes([len(value)]) if len(value) < 128 else b"\x82" + len(value).to_bytes(2, "big")
    return bytes([kind]) + length + value


def topics(*names: str) -> bytes:
    """Apple's extension that lists topics: each a text, followed by what it is for."""
    return der(0x30, b"".join(der(0x0C, name.encode()) + der(0x30, der(0x0C, b"app")) for name in names))
