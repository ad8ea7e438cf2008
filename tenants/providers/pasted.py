"""Undoes what copying and pasting does to a key's text, where it is certain what the text was. Pure.

Keys travel through JSON, YAML and environment variables before they are uploaded: line ends become the two characters
backslash and n, a file becomes one JSON string. No PEM holds a backslash (RFC 7468, RFC 4648), so that nothing else can
have been meant. `openssl x509 -trustout` writes BEGIN TRUSTED CERTIFICATE, which is the certificate followed by what
its owner trusts it for.
"""

import base64
import binascii
import codecs
import re
from typing import Final

import msgspec

_LINE_ENDS: Final = re.compile(rb"(?:\\r)?\\n")
_TRUSTED: Final = re.compile(
    rb"-----BEGIN (TRUSTED|X509) CERTIFICATE-----([A-Za-z0-9+/=\s]{1,100000})-----END \1 CERTIFICATE-----"
)
_BEGINNINGS: Final = (b"{", b"-----BEGIN ")
_SEQUENCE: Final = 0x30


def plain(data: bytes) -> bytes:
    """The file that was meant; `data` itself where nothing is to be undone."""
    text = _unwrapped(data)
    if not text.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"{") and b"-----BEGIN " in text:
        text = _LINE_ENDS.sub(b"\n", text)
        text = _TRUSTED.sub(_certificate, text)
    return text


def key_text(private_key: str) -> str:
    """The PEM inside a JSON file, whose line ends may have been escaped once more than JSON does it."""
    return private_key.replace("\\r\\n", "\n").replace("\\n", "\n")


def _unwrapped(data: bytes) -> bytes:
    """What stands in a JSON string (RFC 8259, 7), with its quotes or without, or a quoted PEM."""
    text = data.removeprefix(codecs.BOM_UTF8).strip()
    if text.startswith(b'{\\"'):
        text = b'"%b"' % text
    if not text.startswith(b'"'):
        return data
    try:
        inner = msgspec.json.decode(text, type=str).strip().encode()
    except (msgspec.DecodeError, UnicodeError):
        # Real line ends, as an .env file may have them between quotes, are none of a JSON string's.
        inner = text.strip(b'"').strip()
    return inner if inner.startswith(_BEGINNINGS) else data


def _certificate(found: re.Match[bytes]) -> bytes:
    """The certificate alone, the first SEQUENCE of what a block of another label holds (X.690)."""
    try:
        der = base64.b64decode(b"".join(found[2].split()), validate=True)
    except (binascii.Error, ValueError):
        return found[0]
    if len(der) < 4 or der[0] != _SEQUENCE or der[1] != 0x82:  # a length of two bytes, as every certificate has it
        return found[0]
    alone = base64.encodebytes(der[: 4 + int.from_bytes(der[2:4], "big")])
    return b"-----BEGIN CERTIFICATE-----\n%b-----END CERTIFICATE-----" % alone
