"""The sandbox's certificates: a CA of its own, a server certificate under the providers' names, and a wrong one.

All are ECDSA P-256 and made on the spot in one folder, then used again at the next start. Invariant: private keys are
readable by their owner alone, and a half-written or expired set is made anew as a whole.
"""

import datetime
import ipaddress
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from delivery.sandbox.journal import Certificate

NAMES = (
    "localhost",
    "api.push.apple.com",
    "api.sandbox.push.apple.com",
    "fcm.googleapis.com",
    "oauth2.googleapis.com",
)
CA_FILE = "ca.pem"
VALIDITY = datetime.timedelta(days=397)
RENEW_BEFORE = datetime.timedelta(days=7)
_Key = ec.EllipticCurvePrivateKey


def ensure(folder: Path) -> Path:
    """Makes the certificates in the folder unless good ones are there; returns the CA file for clients.

    Files: ca.pem and ca.key, server.pem (chain) and server.key, wrong.pem and wrong.key (of a CA nobody knows).
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not _good(folder):
        ca, ca_key = _authority("Provider sandbox CA")
        stranger, stranger_key = _authority("A CA that nobody trusts")
        _store(folder, "ca", ca_key, ca)
        _store(folder, "wrong", *_server(stranger, stranger_key), stranger)
        _store(folder, "server", *_server(ca, ca_key), ca)
    return folder / CA_FILE


def _good(folder: Path) -> bool:
    files = [folder / f"{name}.{kind}" for name in ("ca", "server", "wrong") for kind in ("pem", "key")]
    if not all(file.exists() for file in files):
        return False
    try:
        ca = x509.load_pem_x509_certificate((folder / CA_FILE).read_bytes())
        server = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
        server.verify_directly_issued_by(ca)
        context(folder, "server")
    except (ValueError, TypeError, ssl.SSLError, x509.InvalidVersion):
        return False
    soonest = min(ca.not_valid_after_utc, server.not_valid_after_utc)
    return soonest > datetime.datetime.now(datetime.UTC) + RENEW_BEFORE


def issue_client(folder: Path, topic: str) -> bytes:
    """A new APNs client certificate for a topic, signed by the folder's CA, as PEM with its key (unencrypted).

    As in Apple's own, the topic is the UID of the subject (Apple, "Establishing a certificate-based connection").
    """
    ca = x509.load_pem_x509_certificate((folder / CA_FILE).read_bytes())
    ca_key = load_pem_private_key((folder / "ca.key").read_bytes(), None)
    if not isinstance(ca_key, _Key):
        raise TypeError("ca.key is not an elliptic-curve key")
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.USER_ID, topic),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Apple Push Services: {topic}"),
        ]
    )
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    certificate = _builder(subject, ca.subject, key).add_extension(usage, critical=False).sign(ca_key, hashes.SHA256())
    return certificate.public_bytes(Encoding.PEM) + _pem(key)


def context(folder: Path, name: str) -> ssl.SSLContext:
    """The TLS side of a listener: TLS 1.2 and 1.3, h2 preferred, client certificates asked for and not required.

    name: `server` or `wrong`. A client certificate must be signed by the folder's CA or be trusted by itself
    (`trust`); any other ends the handshake, as with Apple.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    load_chain(tls, folder, name)
    tls.set_alpn_protocols(["h2", "http/1.1"])
    tls.load_verify_locations(folder / CA_FILE)
    tls.verify_mode = ssl.CERT_OPTIONAL
    tls.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    return tls


def load_chain(tls: ssl.SSLContext, folder: Path, name: str) -> None:
    """Let a listener show the certificate that is in the folder now; connections that there are go on."""
    tls.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")


def renew(folder: Path) -> None:
    """Make another server certificate of the same CA, with another key; who has the old one loaded goes on with it."""
    ca = x509.load_pem_x509_certificate((folder / CA_FILE).read_bytes())
    ca_key = load_pem_private_key((folder / "ca.key").read_bytes(), None)
    if not isinstance(ca_key, _Key):
        raise TypeError("the sandbox's CA has a key of another kind")
    _store(folder, "server", *_server(ca, ca_key), ca)


def trust(tls: ssl.SSLContext, pem: str) -> None:
    """Lets a client certificate in, whoever signed it. Raises ssl.SSLError when the PEM is none."""
    tls.load_verify_locations(cadata=pem)


def describe(der: bytes) -> Certificate:
    """A client certificate's fingerprint, common name and UID."""
    certificate = x509.load_der_x509_certificate(der)

    def first(oid: x509.ObjectIdentifier) -> str:
        return next((str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid)), "")

    return Certificate(
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
        name=first(NameOID.COMMON_NAME),
        uid=first(NameOID.USER_ID),
    )


def _authority(name: str) -> tuple[x509.Certificate, _Key]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _name(name)
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    builder = _builder(subject, subject, key, ca=True).add_extension(usage, critical=True)
    return builder.sign(key, hashes.SHA256()), key


def _server(ca: x509.Certificate, ca_key: _Key) -> tuple[_Key, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1")]
    names = x509.SubjectAlternativeName([*(x509.DNSName(name) for name in NAMES), *addresses])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    builder = _builder(_name("Provider sandbox"), ca.subject, key)
    builder = builder.add_extension(names, critical=False).add_extension(usage, critical=False)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return key, builder.add_extension(issuer, critical=False).sign(ca_key, hashes.SHA256())


def _builder(subject: x509.Name, issuer: x509.Name, key: _Key, *, ca: bool = False) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(key: _Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _store(folder: Path, name: str, key: _Key, *chain: x509.Certificate) -> None:
    write_private(folder / f"{name}.key", _pem(key))
    write_private(folder / f"{name}.pem", b"".join(one.public_bytes(Encoding.PEM) for one in chain), mode=0o644)


def write_private(file: Path, content: bytes, mode: int = 0o600) -> None:
    """Writes a file so that it is never there in part, nor readable by others for a moment."""
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
        out.write(content)
    draft.replace(file)
