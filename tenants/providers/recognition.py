"""Recognises a credential file by its content and has its provider parse it, or says what the file is instead. Pure.

Each provider recognises its own files; what nobody recognises is told apart here. Nothing of a file is believed but
what its reader then reads of it.
"""

import codecs
from typing import Final

from tenants.problem import ProblemError
from tenants.providers import pasted, pem
from tenants.providers.base import Parsed, Upload
from tenants.providers.table import PROVIDERS

_SIGNATURES: Final = (
    (b"PK\x03\x04", "an archive"),
    (b"\xfe\xed\xfe\xed", "a Java key store, which Android apps are signed with"),
    (b"bplist", "a property list, which belongs into the app"),
)
_OPTIONS: Final = {option.name: option for provider in PROVIDERS.values() for option in provider.options}


def read(upload: Upload, option: str = "") -> Parsed:
    """Read a .p8, .p12, .pem or .json file, whichever it is; ProblemError says what else it is, or what is wrong.

    `option`: the name of the FileOption that says what the file is meant to be.
    """
    pem.check_size(upload.data)
    upload = upload._replace(data=pasted.plain(upload.data))
    meant = _OPTIONS.get(option)
    if meant is not None and meant.read is not None:
        return meant.read(upload)
    for provider in PROVIDERS.values():
        parsed = provider.read(upload)
        if parsed is not None:
            return parsed
    _refuse_text(upload.data.removeprefix(codecs.BOM_UTF8).lstrip())
    wanted = ", or ".join(provider.wanted for provider in PROVIDERS.values())
    raise ProblemError(f"the file is no key: give {wanted}")


def _refuse_text(text: bytes) -> None:
    """Raise ProblemError for files that are known, and none of those that are wanted."""
    if text.startswith((b"<?xml", b"<!DOCTYPE plist", b"<plist")):
        raise ProblemError("this is a property list (such as GoogleService-Info.plist), which belongs into the app")
    for head, what in _SIGNATURES:
        if text.startswith(head):
            raise ProblemError(f"this is {what}, and no key for pushes")
