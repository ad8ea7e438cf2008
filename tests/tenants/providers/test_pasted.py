"""Keys as people paste them: what copying did to them is undone where it is certain what they were."""

import base64
import json

import pytest
from cryptography.hazmat.primitives import serialization

from tenants.problem import ProblemError
from tenants.providers import recognition
from tenants.providers.base import Parsed, Upload
from tests.tenants import files

IDS = {"key_id": "ABC123DEFG", "team_id": "TEAM123456"}
P8 = files.p8()
ESCAPED = P8.strip().replace(b"\n", b"\\n")


def read(data: bytes, option: str = "") -> Parsed:
    """Read a file as an upload is read."""
    return recognition.read(Upload(data, lambda name: "https://localhost:1", now=files.NOW, **IDS), option)


@pytest.mark.parametrize(
    "data",
    [
        ESCAPED,
        ESCAPED + b"\\n",
        P8.replace(b"\n", b"\\r\\n"),
        b'"%b"' % ESCAPED,
        b'"%b"' % P8,
        b"\xef\xbb\xbf" + json.dumps(P8.decode()).encode() + b"\n",
    ],
)
@pytest.mark.parametrize("option", ["", "p8"])
def test_a_token_key_may_have_its_line_ends_escaped(data: bytes, option: str) -> None:
    assert read(data, option).secret == read(P8).secret


ACCOUNT = files.account()


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(ACCOUNT.decode()).encode(),
        json.dumps(ACCOUNT.decode()).encode()[1:-1],
        files.account(private_key=files.pem(files.RSA_KEY).decode().replace("\n", "\\n")),
    ],
    ids=["in a string", "in a string without quotes", "escaped twice"],
)
def test_a_service_account_may_be_wrapped_in_a_string(data: bytes) -> None:
    assert read(data) == read(ACCOUNT)


def trusted(label: bytes, behind: bytes) -> bytes:
    """A certificate with its key as `openssl x509 -trustout` writes it."""
    der = files.certificate().public_bytes(serialization.Encoding.DER) + behind
    block = b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label, base64.encodebytes(der), label)
    return block + files.pem(files.RSA_KEY)


@pytest.mark.parametrize("option", ["", "pem"])
def test_a_trusted_certificate_is_the_certificate(option: str) -> None:
    expected = read(files.certificate_pem())
    assert read(trusted(b"TRUSTED CERTIFICATE", b"\x30\x06\x0c\x04push"), option) == expected
    assert read(trusted(b"X509 CERTIFICATE", b""), option) == expected


@pytest.mark.parametrize(
    "data",
    [
        b'"hello"',
        b'"{"',
        b'{\\"x',
        b"-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n" + files.pem(files.RSA_KEY),
        b"-----BEGIN PRIVATE KEY-----\\x-----END PRIVATE KEY-----",
    ],
)
def test_what_is_not_certain_is_named_and_not_guessed(data: bytes) -> None:
    with pytest.raises(ProblemError):
        read(data)
