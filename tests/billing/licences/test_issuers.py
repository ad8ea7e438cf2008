"""Keys of issuers are files in a folder; the system check says what is wrong with each, and the others count."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pytest_django import Settings

from billing.checks import licence_keys_are_usable
from billing.licences import issuers
from tests.billing.licences import making

PKCS1 = making.key("first").public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1)
PRIVATE = making.key("first").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def pem(key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def test_a_files_name_is_the_issuers(tmp_path: Path) -> None:
    found = issuers.load(making.key_folder(tmp_path, "first", "other"))
    assert ([issuer.name for issuer in found.issuers], found.problems) == (["first", "other"], [])


def test_no_folder_is_no_problem_and_no_issuer() -> None:
    assert issuers.load("") == issuers.Found([], [])


def test_both_spellings_of_a_public_key_are_read_and_hidden_files_are_not(tmp_path: Path) -> None:
    (tmp_path / "first.pem").write_bytes(PKCS1)
    (tmp_path / ".first.pem.swp").write_bytes(b"x")
    assert [issuer.name for issuer in issuers.load(str(tmp_path)).issuers] == ["first"]


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("other.txt", b"x", "ends in .pem"),
        ("Other One.pem", making.public_pem("other"), "no name of an issuer"),
        ("other.pem", b"x", "no public key in PEM"),
        ("other.pem", b"", "no public key in PEM"),
        ("other.pem", PRIVATE, "private key"),
        ("other.pem", pem(ec.generate_private_key(ec.SECP256R1()).public_key()), "no RSA key of 2048 bits"),
        ("other.pem", pem(rsa.generate_private_key(65537, 3072).public_key()), "no RSA key of 2048 bits"),
        ("other.pem", making.public_pem("first"), "is the key of first once more"),
        ("other.pem", b"x" * 20_000, "larger than 16 KiB"),
    ],
)
def test_a_wrong_file_is_named_by_the_check_and_the_others_count(
    tmp_path: Path, settings: Settings, name: str, data: bytes, why: str
) -> None:
    settings.LICENCE_KEYS = making.key_folder(tmp_path)
    assert licence_keys_are_usable(None) == []
    (tmp_path / name).write_bytes(data)
    (error,) = licence_keys_are_usable(None)
    assert error.id == "billing.E003"
    assert name in error.msg
    assert why in error.msg
    assert [issuer.name for issuer in issuers.load(str(tmp_path)).issuers] == ["first"]


def test_a_folder_that_is_missing_or_empty_is_told(tmp_path: Path, settings: Settings) -> None:
    for folder, why in ((tmp_path / "nowhere", "cannot be read: No such file"), (tmp_path, "holds no key")):
        settings.LICENCE_KEYS = str(folder)
        (error,) = licence_keys_are_usable(None)
        assert why in error.msg
