"""The pigeon post, a third provider, as its customers deal with it. test_third_provider puts it into a copy."""

from typing import Final

from tenants.problem import ProblemError
from tenants.providers.base import FileOption, Parsed, Provider, Upload

_HEAD: Final = b"pigeon-key:"


def read(upload: Upload) -> Parsed | None:
    """A pigeon key: one line, `pigeon-key:NAME:SECRET`."""
    if not upload.data.startswith(_HEAD):
        return None
    name, _, secret = upload.data.removeprefix(_HEAD).decode().strip().partition(":")
    if not name or not secret:
        raise ProblemError("the pigeon key has no name, or no secret")
    return Parsed("pigeon_key", {"pigeon_secret": secret}, name)


PIGEON: Final = Provider(
    family="pigeon",
    name="Pigeon Post",
    platform="pigeon",
    labels=(("pigeon_rn", "Pigeon (pigeon_rn)"),),
    hosts=(),
    origins=(),
    kinds={"pigeon_key": "Pigeon key"},
    files="a pigeon key (.pigeon)",
    wanted="a .pigeon file",
    upload_help="A pigeon key (.pigeon).",
    upload_fields=frozenset(),
    options=(FileOption("pigeon", "a pigeon key"),),
    read=read,
)
