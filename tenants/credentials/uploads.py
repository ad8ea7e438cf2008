"""Finds out what a file is that somebody uploads as a credential, and has it read, or says what it is instead.

People upload what they find: the certificate without its key, the request for it, the app's own configuration. Each of
these is told apart from a damaged file. Nothing of a file is believed but what tenants.credentials.provider_files then
reads of it.
"""

import codecs
import re
from collections.abc import Callable
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from django.conf import settings

from tenants.credentials import provider_files
from tenants.credentials.provider_files import Parsed
from tenants.problem import ProblemError

# As Apple's pages name the file of a key; the second kind is what the same pages give for other purposes.
_KEY_NAME: Final = re.compile(r"AuthKey_([A-Z0-9]{10})(?: ?\(\d+\))?\.p8", re.IGNORECASE)
_OTHER_KEY: Final = re.compile(r"(?:ApiKey|SubscriptionKey|MusicKit\w*)_[A-Z0-9]{10}(?: ?\(\d+\))?\.p8", re.IGNORECASE)
_LEGACY_KEY: Final = re.compile(rb"(?:AAAA[A-Za-z0-9_-]{7}:APA91b[A-Za-z0-9_-]{100,}|AIza[A-Za-z0-9_-]{35})")
_EXPORT: Final = "import it into the Mac's keychain and export it together with its key as a .p12 file"
_HEADS: Final = (
    (b"PK\x03\x04", "an archive"),
    (b"\xfe\xed\xfe\xed", "a Java key store, which Android apps are signed with"),
    (b"bplist", "a property list, which belongs into the app"),
)


def token_uris() -> tuple[str, ...]:
    """The addresses that a service account may name for its access tokens: Google's, and the one of the settings."""
    return (*provider_files.GOOGLE_TOKEN_URIS, f"{settings.GOOGLE_TOKEN_ORIGIN.rstrip('/')}/token")


def parse(
    data: bytes,
    *,
    filename: str = "",
    password: str = "",
    key_id: str = "",
    team_id: str = "",
    now: datetime | None = None,
) -> Parsed:
    """Read a .p8, .p12, .pem or .json file, whichever it is; ProblemError says what else it is, or what is wrong.

    `filename` gives Apple's key id where it is AuthKey_<key id>.p8; `password` opens a .p12 or .pem file.
    """
    provider_files.check_size(data)
    text = data.removeprefix(codecs.BOM_UTF8).lstrip()
    if text.startswith((b"{", b"[")):
        return provider_files.service_account(data, token_uris=token_uris())
    if b"-----BEGIN " in data:
        return _pem(data, filename, password, key_id.strip(), team_id.strip(), now)
    _refuse_text(text)
    if not data.startswith(b"\x30"):
        raise ProblemError(
            "the file is no key: give Apple's .p8 file, a certificate with its key as .p12 or .pem, or Google's .json"
        )
    _refuse_der(data)
    return provider_files.apple_certificate_p12(data, password=password, now=now)


def _pem(data: bytes, filename: str, password: str, key_id: str, team_id: str, now: datetime | None) -> Parsed:
    names = provider_files.block_names(data)
    if names & {b"CERTIFICATE REQUEST", b"NEW CERTIFICATE REQUEST"}:
        raise ProblemError(
            "this is a request for a certificate: upload it in Apple's account, and here what Apple makes of it"
        )
    if not any(name.endswith(b"PRIVATE KEY") for name in names):
        if b"CERTIFICATE" in names:
            raise ProblemError(f"this is a certificate without its private key: {_EXPORT}")
        if any(name.endswith(b"PUBLIC KEY") for name in names):
            raise ProblemError("this is a public key, which cannot sign: give the private one")
        raise ProblemError("the file is cut off, or holds no key: get it again where it comes from")
    if b"OPENSSH PRIVATE KEY" in names:
        raise ProblemError("this is a key for SSH: Apple's is a file AuthKey_<key id>.p8")
    if b"CERTIFICATE" in names:
        return provider_files.apple_certificate_pem(data, password=password, now=now)
    if _OTHER_KEY.fullmatch(filename):
        raise ProblemError(
            "this key of Apple's is for the App Store: make one for the Apple Push Notifications service"
        )
    return provider_files.apple_key(data, key_id=_key_id(filename, key_id), team_id=team_id)


def _key_id(filename: str, given: str) -> str:
    named = _KEY_NAME.fullmatch(filename)
    if named is None:
        return given
    if given and given != named[1].upper():
        raise ProblemError(
            "the key id is another than the one in the file's name: which of them is right?", field="key_id"
        )
    return named[1].upper()


def _refuse_text(text: bytes) -> None:
    """Raise ProblemError for files that are known, and none of those that are wanted."""
    if _LEGACY_KEY.fullmatch(text.strip()):
        raise ProblemError(
            "this is a key of Google's old interface, which Google has switched off: give a service account (.json)"
        )
    if text.startswith((b"<?xml", b"<!DOCTYPE plist", b"<plist")):
        raise ProblemError("this is a property list (such as GoogleService-Info.plist), which belongs into the app")
    for head, what in _HEADS:
        if text.startswith(head):
            raise ProblemError(f"this is {what}, and no key for pushes")


def _refuse_der(data: bytes) -> None:
    """Raise ProblemError for binary files that are no .p12."""
    if b"<plist" in data and b"Entitlements" in data:
        raise ProblemError("this is a provisioning profile, which belongs into the app: it holds no key")
    if _reads(x509.load_der_x509_certificate, data):
        raise ProblemError(f"this is a certificate (.cer) without its private key: {_EXPORT}")
    if _reads(x509.load_der_x509_csr, data):
        raise ProblemError(
            "this is a request for a certificate: upload it in Apple's account, and here what Apple makes of it"
        )
    if _reads(serialization.load_der_public_key, data):
        raise ProblemError("this is a public key, which cannot sign: give the private one")
    if _reads(_der_private_key, data):
        raise ProblemError("this is a private key in binary form: give the .p8 file as Apple hands it out")


def _der_private_key(data: bytes) -> object:
    return serialization.load_der_private_key(data, None, unsafe_skip_rsa_key_validation=True)


def _reads(read: Callable[[bytes], object], data: bytes) -> bool:
    try:
        read(data)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True
