"""Apple's push service as customers deal with it: platforms, hosts, credential kinds, and what is uploaded for them.

People upload what they find: the certificate without its key, the request for it, a key for something else. Each of
these is told apart from a damaged file.
"""

import codecs
import re
from collections.abc import Callable
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

from tenants.problem import ProblemError
from tenants.providers import apple_files, pem
from tenants.providers.base import FileOption, Parsed, Provider, Upload

# As Apple's pages name the file of a key; the second kind is what the same pages give for other purposes.
_KEY_NAME: Final = re.compile(r"AuthKey_([A-Z0-9]{10})(?: ?\(\d+\))?\.p8", re.IGNORECASE)
_OTHER_KEY: Final = re.compile(r"(?:ApiKey|SubscriptionKey|MusicKit\w*)_[A-Z0-9]{10}(?: ?\(\d+\))?\.p8", re.IGNORECASE)
_EXPORT: Final = "import it into the Mac's keychain and export it together with its key as a .p12 file"


# An App ID is the bundle id behind the team's id (https://developer.apple.com/help/glossary/app-id/).
_APP_ID: Final = re.compile(r"[A-Z0-9]{10}\.([A-Za-z0-9-]+\..+)")
_ADDED: Final = (".voip", ".complication", ".pushkit.fileprovider")
"""What is put behind a bundle id for other types of pushes
(https://developer.apple.com/documentation/usernotifications/sending-notification-requests-to-apns)."""


def topic_fault(topic: str) -> str:
    """Say why a topic can be no app's bundle id; people enter what stands beside it in Apple's pages."""
    if topic.isdigit():
        return "the topic is a number, such as that of an app in Apple's store: give its bundle id (com.example.app)"
    if named := _APP_ID.fullmatch(topic):
        return f"the topic begins with the team's id: give the bundle id alone ({named[1]})"
    for suffix in _ADDED:
        if topic.endswith(suffix):
            return (
                f"the topic is that of other pushes of the app: give the bundle id alone ({topic.removesuffix(suffix)})"
            )
    return ""


def read(upload: Upload) -> Parsed | None:
    """A .p8, .p12 or .pem file; None for what is neither PEM nor DER, or is JSON, in which Google wraps its PEM.

    ProblemError says what else the file is, or what is wrong with it. `filename` gives Apple's key id where it is
    AuthKey_<key id>.p8; `password` opens a .p12 or .pem file.
    """
    if upload.data.removeprefix(codecs.BOM_UTF8).lstrip().startswith((b"{", b"[")):
        return None
    if b"-----BEGIN " in upload.data:
        return _pem(upload)
    if not upload.data.startswith(b"\x30"):
        return None
    _refuse_der(upload.data)
    return _p12(upload)


def _pem(upload: Upload) -> Parsed:
    names = pem.block_names(upload.data)
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
        return _certificate(upload)
    if _OTHER_KEY.fullmatch(upload.filename):
        raise ProblemError(
            "this key of Apple's is for the App Store: make one for the Apple Push Notifications service"
        )
    return apple_files.apple_key(
        upload.data, key_id=_key_id(upload.filename, upload.key_id.strip()), team_id=upload.team_id.strip()
    )


def _key_id(filename: str, given: str) -> str:
    named = _KEY_NAME.fullmatch(filename)
    if named is None:
        return given
    if given and given != named[1].upper():
        raise ProblemError(
            "the key id is another than the one in the file's name: which of them is right?", field="key_id"
        )
    return named[1].upper()


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


def _p12(upload: Upload) -> Parsed:
    return apple_files.apple_certificate_p12(upload.data, password=upload.password, now=upload.now)


def _certificate(upload: Upload) -> Parsed:
    return apple_files.apple_certificate_pem(upload.data, password=upload.password, now=upload.now)


APNS: Final = Provider(
    family="apns",
    name="Apple",
    platform="apple",
    labels=(
        ("apple_rn", "iPhone (apple_rn)"),
        ("apple_rnbeta", "iPhone, beta (apple_rnbeta)"),
        ("apple", "Classic iPhone app of before 2018 (apple)"),
    ),
    hosts=("production", "sandbox"),
    origins=("APNS_ORIGIN", "APNS_SANDBOX_ORIGIN"),
    kinds={"apns_key": "Apple token key", "apns_cert": "Apple certificate"},
    bound_kinds=frozenset(("apns_cert",)),
    files="Apple's key (.p8), or a certificate with its key (.p12, .pem)",
    wanted="Apple's .p8 file, a certificate with its key as .p12 or .pem",
    upload_help="Apple's key (.p8), or a certificate with its key (.p12, .pem).",
    upload_fields=frozenset(("key_id", "team_id", "password")),
    options=(
        FileOption("p8", "Apple's token key (AuthKey_....p8), with --key-id and --team-id"),
        FileOption("p12", "Apple's certificate with its key, as the Mac's keychain exports it", _p12),
        FileOption("pem", "Apple's certificate with its key in one PEM file", _certificate),
    ),
    read=read,
    phones="iPhones",
    topic_fault=topic_fault,
    silence="An iPhone acknowledges nothing while notifications are off for the app, while it is off or without a"
    " network, after the app was removed, and where it cannot reach its Mattermost server, which passes receipts on.",
)
"""The kinds' secrets: apns_key {"key_pem", "key_id", "team_id"}, apns_cert {"cert_pem", "key_pem"}."""
