"""The system check of the front door's certificate: it fires on each thing that can be wrong with it, and else not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from pytest_django import Settings

from hpns.checks import tls as checks_tls


def write(
    folder: Path, cert_key: Any, key: Any = None, *, begins: float = -1, ends: float = 90, password: bytes = b""
) -> None:
    """cert.pem and key.pem; begins and ends in days from now."""
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "push.example.com")]), datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(cert_key.public_key())
    builder = builder.serial_number(1).not_valid_before(now + timedelta(begins)).not_valid_after(now + timedelta(ends))
    algorithm = None if isinstance(cert_key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    (folder / "cert.pem").write_bytes(builder.sign(cert_key, algorithm).public_bytes(Encoding.PEM))
    lock = BestAvailableEncryption(password) if password else NoEncryption()
    (folder / "key.pem").write_bytes((key or cert_key).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))


def p256() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def tls(settings: Settings, tmp_path: Path) -> Path:
    settings.TLS_CERT_FILE, settings.TLS_KEY_FILE = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    return tmp_path


def test_a_good_certificate_gives_no_message(tls: Path) -> None:
    write(tls, p256())
    assert checks_tls.certificate_is_usable(None) == []


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ({"cert_key": p256(), "ends": -0.1, "begins": -2}, ["hpns.E023"]),
        ({"cert_key": p256(), "ends": 13}, ["hpns.W020"]),
        ({"cert_key": p256(), "begins": 1}, ["hpns.W021"]),
        ({"cert_key": p256(), "key": p256()}, ["hpns.E024"]),
        ({"cert_key": p256(), "password": b"s3cr3t"}, ["hpns.E022"]),
        ({"cert_key": rsa.generate_private_key(65537, 2048)}, ["hpns.I020"]),
        ({"cert_key": ec.generate_private_key(ec.SECP384R1())}, ["hpns.I020"]),
        ({"cert_key": ed25519.Ed25519PrivateKey.generate()}, ["hpns.I020"]),
    ],
)
def test_what_is_wrong_with_a_certificate_is_said(tls: Path, made: dict[str, Any], expected: list[str]) -> None:
    write(tls, **made)
    assert [message.id for message in checks_tls.certificate_is_usable(None)] == expected


def test_files_that_cannot_be_read_are_named(tls: Path) -> None:
    assert [message.id for message in checks_tls.certificate_is_usable(None)] == ["hpns.E021", "hpns.E021"]
    write(tls, p256())
    (tls / "cert.pem").write_text("nothing")
    assert [message.id for message in checks_tls.certificate_is_usable(None)] == ["hpns.E022"]


def test_one_file_without_the_other_is_named(settings: Settings) -> None:
    settings.TLS_CERT_FILE = "/x"
    assert [message.id for message in checks_tls.certificate_is_usable(None)] == ["hpns.E020"]
