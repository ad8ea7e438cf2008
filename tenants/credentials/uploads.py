"""Recognises uploaded credential files and has their provider parse them, or says what a file is instead.

Each provider recognises its own files (tenants/providers); what nobody recognises is told apart here. Nothing of a file
is believed but what its reader then reads of it.
"""

import codecs
from datetime import datetime
from typing import Final

from django.conf import settings

from tenants.problem import ProblemError
from tenants.providers import pem
from tenants.providers.base import FileOption, Parsed, Upload
from tenants.providers.table import PROVIDERS

_SIGNATURES: Final = (
    (b"PK\x03\x04", "an archive"),
    (b"\xfe\xed\xfe\xed", "a Java key store, which Android apps are signed with"),
    (b"bplist", "a property list, which belongs into the app"),
)


def setting(name: str) -> str:
    """One of our settings, as providers ask for it."""
    return str(getattr(settings, name))


def parse(
    data: bytes,
    *,
    filename: str = "",
    password: str = "",
    key_id: str = "",
    team_id: str = "",
    now: datetime | None = None,
    option: FileOption | None = None,
) -> Parsed:
    """Read a .p8, .p12, .pem or .json file, whichever it is; ProblemError says what else it is, or what is wrong.

    `filename` gives Apple's key id where it is AuthKey_<key id>.p8; `password` opens a .p12 or .pem file; `option` says
    what the file is meant to be.
    """
    pem.check_size(data)
    upload = Upload(data, setting, filename, password, key_id, team_id, now)
    if option is not None and option.read is not None:
        return option.read(upload)
    for provider in PROVIDERS.values():
        parsed = provider.read(upload)
        if parsed is not None:
            return parsed
    _refuse_text(data.removeprefix(codecs.BOM_UTF8).lstrip())
    wanted = ", or ".join(provider.wanted for provider in PROVIDERS.values())
    raise ProblemError(f"the file is no key: give {wanted}")


def _refuse_text(text: bytes) -> None:
    """Raise ProblemError for files that are known, and none of those that are wanted."""
    if text.startswith((b"<?xml", b"<!DOCTYPE plist", b"<plist")):
        raise ProblemError("this is a property list (such as GoogleService-Info.plist), which belongs into the app")
    for head, what in _SIGNATURES:
        if text.startswith(head):
            raise ProblemError(f"this is {what}, and no key for pushes")
