"""Parses Apple push certificates (X.509): for which apps and hosts one is, until when, or for what else. Pure.

Apple's certificate practice statement names the members: the bundle id is the subject's UID; a certificate for several
topics lists them in the extension 1.2.840.113635.100.6.3.6; 6.3.1 and 6.3.2 allow the sandbox and the production host
(https://www.apple.com/certificateauthority/pdf/Apple_WWDR_CPS_v1.31.pdf, section 4.11).
"""

from datetime import datetime
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

_TOPICS: Final = ObjectIdentifier("1.2.840.113635.100.6.3.6")
_HOSTS: Final = {
    ObjectIdentifier("1.2.840.113635.100.6.3.1"): "sandbox",
    ObjectIdentifier("1.2.840.113635.100.6.3.2"): "production",
}
# The head of a certificate's name -> what Apple gives it out for (the practice statements of Apple's WWDR authority).
_OTHERS: Final = {
    "Apple Development": "signing apps",
    "Apple Distribution": "signing apps",
    "iPhone Developer": "signing apps",
    "iPhone Distribution": "signing apps",
    "Mac Developer": "signing apps",
    "Developer ID Application": "signing apps",
    "Pass Type ID": "passes of Apple Wallet",
    "Website Push ID": "pushes to web sites",
    "Merchant ID": "Apple Pay",
    "Apple Pay Merchant Identity": "Apple Pay",
    "Apple Pay Payment Processing": "Apple Pay",
    "VoIP Services": "calls alone (VoIP Services)",
    "WatchKit Services": "the faces of watches",
}
_CALLS: Final = ".voip"
_UTF8_STRING: Final = 0x0C
_CONSTRUCTED: Final = 0x20
_DEPTH_MAX: Final = 8


class CertificateContents(NamedTuple):
    """`hosts` is empty when the certificate does not say; `serial` is hexadecimal, for display; `purpose` says for what
    else than pushes Apple has given it out, "" if for nothing else."""

    topics: frozenset[str]
    hosts: frozenset[str]
    since: datetime
    until: datetime
    serial: str
    purpose: str


def read(certificate: x509.Certificate) -> CertificateContents:
    """What the certificate says; members that are missing or malformed are left out."""
    topics = {str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.USER_ID)}
    purpose = ""
    for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        # "Apple Push Services: com.example.app": older certificates say it here, too.
        head, colon, bundle = str(name.value).partition(": ")
        if colon and head.endswith("Services") and head not in _OTHERS:
            topics.add(bundle)
        purpose = _OTHERS.get(head, purpose) if colon else purpose
    hosts = set()
    for extension in certificate.extensions:
        if extension.oid in _HOSTS:
            hosts.add(_HOSTS[extension.oid])
        elif extension.oid == _TOPICS and isinstance(extension.value, x509.UnrecognizedExtension):
            # Beside the topics stand words such as "app" and "voip"; they are nobody's bundle id.
            topics.update(text for text in _texts(extension.value.value) if "." in text)
    if topics and all(topic.endswith(_CALLS) for topic in topics):
        purpose = purpose or _OTHERS["VoIP Services"]
    return CertificateContents(
        frozenset(topics),
        frozenset(hosts),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        f"{certificate.serial_number:x}",
        purpose,
    )


def _texts(der: bytes, depth: int = 0) -> list[str]:
    """The UTF8Strings anywhere in DER data (X.690); stops at what is malformed."""
    found: list[str] = []
    at = 0
    while at + 2 <= len(der) and depth <= _DEPTH_MAX:
        kind, length = der[at], der[at + 1]
        at += 2
        if length & 0x80:
            size = length & 0x7F
            length = int.from_bytes(der[at : at + size], "big")
            at += size
        value = der[at : at + length]
        at += length
        if kind == _UTF8_STRING:
            found.append(value.decode(errors="replace"))
        elif kind & _CONSTRUCTED:
            found += _texts(value, depth + 1)
    return found
