"""A file that is uploaded is recognised by what is in it; what it is instead is told in a sentence."""

import base64
import json
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_django import Settings

from tenants.credentials import uploads
from tenants.problem import ProblemError
from tests.tenants import files
from tests.tenants.files import NOW

DER = serialization.Encoding.DER
NAME = "AuthKey_ABC123DEFG.p8"


def request(encoding: serialization.Encoding) -> bytes:
    """A request for a certificate, as the Mac's keychain makes one."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ada")])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(files.RSA_KEY, hashes.SHA256())
    return made.public_bytes(encoding)


def public_key(encoding: serialization.Encoding) -> bytes:
    """The public half of a key."""
    return files.RSA_KEY.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


def ssh_key() -> bytes:
    """A key as ssh-keygen makes one."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PrivateFormat.OpenSSH
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def named(name: str) -> bytes:
    """A certificate with its key, of another kind than pushes need."""
    return files.certificate_pem(files.certificate(uid="", name=name, hosts=""))


def giant() -> bytes:
    """A key of 40,000 bits: to check whether its primes are some would keep a process busy."""
    prime = (1 << 20_000) - 1
    fields = (0, prime * (prime - 2), 65537, 65537, prime, prime - 2, 1, 1, 1)  # RFC 8017, RSAPrivateKey
    body = b"".join(_tagged(2, each.to_bytes(each.bit_length() // 8 + 1, "big")) for each in fields)
    text = base64.encodebytes(_tagged(0x30, body)).decode()
    return f"-----BEGIN RSA PRIVATE KEY-----\n{text}-----END RSA PRIVATE KEY-----\n".encode()


def _tagged(kind: int, value: bytes) -> bytes:
    size = len(value)
    length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
    return bytes([kind]) + length + value


def test_a_token_key_takes_its_id_from_the_name_of_its_file() -> None:
    parsed = uploads.parse(files.p8(), filename=NAME, team_id=" TEAM123456 ", owner=None)
    assert (parsed.kind, parsed.key_id) == ("apns_key", "TEAM123456/ABC123DEFG")


@pytest.mark.parametrize("name", ["AuthKey_ABC123DEFG (1).p8", "authkey_abc123defg.p8"])
def test_a_browsers_second_copy_of_a_key_is_known_by_its_name(name: str) -> None:
    assert uploads.parse(files.p8(), filename=name, team_id="TEAM123456", owner=None).key_id == "TEAM123456/ABC123DEFG"


def test_a_key_of_another_name_needs_its_id() -> None:
    with pytest.raises(ProblemError, match="key id must be 10"):
        uploads.parse(files.p8(), filename="push.p8", team_id="TEAM123456", owner=None)
    parsed = uploads.parse(files.p8(), filename="push.p8", key_id="ABC123DEFG", team_id="TEAM123456", owner=None)
    assert parsed.key_id == "TEAM123456/ABC123DEFG"


def test_each_other_kind_is_recognised_without_its_name(settings: Settings) -> None:
    assert uploads.parse(files.certificate_pem(), now=NOW, owner=None).kind == "apns_cert"
    assert uploads.parse(files.p12(b"pw"), password="pw", now=NOW, owner=None).kind == "apns_cert"
    assert uploads.parse(b"\xef\xbb\xbf\r\n " + files.account(), owner=None).kind == "fcm_account"
    settings.GOOGLE_TOKEN_ORIGIN = "https://localhost:1"
    assert uploads.parse(files.account(token_uri="https://localhost:1/token"), owner=None).kind == "fcm_account"


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b" \n", "", "empty"),
        (b"x" * 5_000_000, "", "larger than 100 KB"),
        (b"hello", "", "is no key"),
        (b"\x30\x82", "", "is it one"),
        (files.p8(), "AuthKey_ZZZ123DEFG.p8", "which of them is right"),
        (files.p8(), "SubscriptionKey_ABC123DEFG.p8", "for the App Store"),
        (files.pem(ec.generate_private_key(ec.SECP256R1()), b"pw"), NAME, "is encrypted"),
        (files.pem(files.RSA_KEY), NAME, "no elliptic-curve one"),
        (files.p8()[:-40], NAME, "cut off"),
        (ssh_key(), "", "key for SSH"),
        (request(serialization.Encoding.PEM), "", "a request for a certificate"),
        (request(DER), "", "a request for a certificate"),
        (public_key(serialization.Encoding.PEM), "", "a public key"),
        (public_key(DER), "", "a public key"),
        (files.certificate_pem(None, b""), "", "without its private key"),
        (files.certificate().public_bytes(DER), "", r"\(.cer\) without its private key"),
        (
            files.RSA_KEY.private_bytes(DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
            "",
            "in binary form",
        ),
        (b"\x30\x82\x10\x00...<?xml?><plist><key>Entitlements</key>", "", "a provisioning profile"),
        (b"<?xml version='1.0'?><plist/>", "", "GoogleService-Info.plist"),
        (b"bplist00", "", "a property list"),
        (b"PK\x03\x04...", "", "an archive"),
        (b"\xfe\xed\xfe\xed...", "", "a Java key store"),
        (b"AAAAabc1234:APA91b" + b"x" * 134, "", "old interface"),
        (b"[" * 50_000, "", "not the JSON"),
        (b'{"a":' * 1000 + b"1" + b"}" * 1000, "", "not the JSON"),
        (json.dumps({"project_info": {}}).encode(), "", "google-services.json"),
        (json.dumps({"installed": {"client_id": "x"}}).encode(), "", "an OAuth client"),
        (json.dumps({"web": {"client_id": "x"}}).encode(), "", "an OAuth client"),
        (json.dumps({"apiKey": "x"}).encode(), "", "of a web app"),
        (files.account(token_uri="https://evil.example/token"), "", "not Google's"),
        (named("Apple Distribution: Acme (TEAM123456)"), "", "for signing apps, not for pushes"),
        (named("Pass Type ID: pass.com.example"), "", "for passes of Apple Wallet"),
        (files.certificate_pem(files.certificate(until=timedelta(days=-1))), "", "expired on"),
    ],
)
def test_what_else_is_uploaded_is_told_apart(data: bytes, name: str, message: str) -> None:
    with pytest.raises(ProblemError, match=message) as raised:
        uploads.parse(data, filename=name, key_id="ABC123DEFG", team_id="TEAM123456", now=NOW, owner=None)
    assert "\n" not in str(raised.value)


def test_a_key_of_a_giants_size_is_not_checked_for_minutes() -> None:
    with pytest.raises(ProblemError, match="bits"):
        uploads.parse(files.certificate_pem(None, giant()), now=NOW, owner=None)
