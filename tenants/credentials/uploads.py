"""Uploaded credential files: hands each to the child process that reads it, whatever kind of file it is.

The reading itself is tenants/providers/recognition.py, in the child (upload_process.py).
"""

from datetime import datetime
from typing import Final

from django.conf import settings

from tenants.credentials import upload_process
from tenants.providers import pem
from tenants.providers.base import FileOption, Parsed
from tenants.providers.table import PROVIDERS

SECONDS: Final = 10.0
"""For one file; a good one takes less than one second, most of it the start of the child."""


def setting(name: str) -> str:
    """One of our settings, as providers ask for it."""
    return str(getattr(settings, name))


def parse(
    data: bytes,
    *,
    owner: int | None,
    filename: str = "",
    password: str = "",
    key_id: str = "",
    team_id: str = "",
    now: datetime | None = None,
    option: FileOption | None = None,
    seconds: float = SECONDS,
) -> Parsed:
    """Read a .p8, .p12, .pem or .json file, whichever it is; ProblemError says what else it is, or what is wrong.

    `owner`: the customer on whose behalf, one file at a time; None for the operator. `filename` gives Apple's key id
    where it is AuthKey_<key id>.p8; `password` opens a .p12 or .pem file; `option` says what the file is meant to be;
    `now` takes the place of the clock. Takes at most `seconds`, beside a few seconds' wait for others.
    """
    pem.check_size(data)
    order = upload_process.Order(
        data=data,
        settings={name: setting(name) for provider in PROVIDERS.values() for name in provider.origins},
        filename=filename,
        password=password,
        key_id=key_id,
        team_id=team_id,
        now=now,
        option=option.name if option is not None else "",
        seconds=int(seconds) + 1,
    )
    return upload_process.parse(order, owner, seconds)
