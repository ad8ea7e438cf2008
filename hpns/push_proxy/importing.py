"""Takes the customer, the apps and the credentials of a reference push proxy over into this service.

All of it happens in one transaction, in a dry run too: what is told is what would have happened. Nothing that is there
already is changed or replaced, so that a second run changes nothing.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from django.db import transaction

from billing import customers
from hpns.push_proxy import file as push_proxy_file
from hpns.push_proxy.file import Configuration, Entry
from tenants import services
from tenants.credentials import uploads
from tenants.models import Credential, Customer
from tenants.problem import ProblemError
from tenants.providers import pem, table
from tenants.providers.base import Parsed

OFFER: Final = Customer.Offer.EAS
_INACTIVE: Final = "it names no key and no certificate, so it was not in use"
_OLD_KEY: Final = "AndroidApiKey is of Google's old interface, which is switched off: get a service account's file"
_SKIPPED: Final = "as told by --skip"
_TAKEN: Final = "the app has a credential already: add this one with --slot next, and promote it"
_PASSED_OVER: Final = "the push proxy passed it over and used an earlier entry of its Type"
_OF_A_KEY: Final = ("AppleAuthKeyFile", "AppleAuthKeyID", "AppleTeamID")


class BadFileError(ProblemError):
    """A file is there and cannot be used: the push proxy could not either, and passed its entry over."""


class Line(NamedTuple):
    """The result of importing one part of the file: taken, there already, left, or faulty."""

    about: str
    result: Literal["took", "there", "left", "trouble"]
    text: str


class Wanted(NamedTuple):
    """Where to and from where: the customer (made when there is none of the slug), and folders of the key files.

    `packages` are package names by Type; `skip` are Types to leave.
    """

    slug: str
    name: str = ""
    offer: str = ""
    folders: tuple[Path, ...] = ()
    packages: Mapping[str, str] = MappingProxyType({})
    skip: frozenset[str] = frozenset()


def run(path: Path, wanted: Wanted, *, apply: bool) -> list[Line]:
    """Import a file; the lines say what happened, or with apply=False what would.

    Nothing is kept when one of the lines is trouble. Raises ProblemError for a file that cannot be read at all.
    """
    content = push_proxy_file.read(path)
    folders = (*wanted.folders, path.parent, path.parent.parent)
    with transaction.atomic():
        customer, line = _customer(wanted)
        lines = [line]
        lines += _import_entries(content, customer, wanted, folders)
        if not apply or any(line.result == "trouble" for line in lines):
            transaction.set_rollback(True)
    lines += [Line(name, "left", push_proxy_file.elsewhere(name)) for name in content.others]
    return lines


def _customer(wanted: Wanted) -> tuple[Customer, Line]:
    there = Customer.objects.filter(slug=wanted.slug).first()
    if there is not None:
        for field in ("name", "offer"):
            if getattr(wanted, field) not in ("", getattr(there, field)):
                raise ProblemError(f"there is a customer {there.slug} with another {field}: leave --{field} out")
        return there, Line("customer", "there", f"{there.slug} ({there.name})")
    made = customers.add(name=wanted.name or wanted.slug, offer=wanted.offer or OFFER, slug=wanted.slug).row
    return made, Line("customer", "took", f"{made.slug} ({made.name}), offer {made.offer}")


def _import_entries(
    content: Configuration, customer: Customer, wanted: Wanted, folders: tuple[Path, ...]
) -> list[Line]:
    """The lines of all entries, in the file's order.

    Of several entries of one Type the reference passes over those that it cannot initialise, and uses the last other.
    """
    entries = [*content.apple, *content.android]
    lines: dict[int, Line] = {}
    settled: set[str] = set()
    for at, entry in reversed(list(enumerate(entries))):
        kind = entry.members["Type"]
        if kind in settled:
            text = "a later entry has the same Type, and the push proxy used that one"
            lines[at] = Line(entry.about, "left", text)
            continue
        earlier = any(one.members["Type"] == kind and not _idle(one) for one in entries[:at])
        lines[at] = _import_entry(entry, customer, wanted, folders, earlier=earlier)
        if not _passed_over(lines[at]):
            settled.add(kind)
    found = [lines[at] for at in sorted(lines)]
    if found and not any(
        line.result in ("took", "there", "trouble") or line.text.startswith((_SKIPPED, _TAKEN)) for line in found
    ):
        found.append(Line("apps", "trouble", "no entry of the file names a key that can be taken: see above"))
    return found


def _import_entry(
    entry: Entry, customer: Customer, wanted: Wanted, folders: tuple[Path, ...], *, earlier: bool
) -> Line:
    """Import one entry; earlier: whether another of its Type stands before it that may be in use."""
    if entry.members["Type"] in wanted.skip:
        return Line(entry.about, "left", _SKIPPED)
    if idle := _idle(entry):
        return Line(entry.about, "left", idle)
    try:
        if "ServiceFileLocation" in entry.members:
            return _android(entry, customer, wanted.packages, folders)
        return _apple(entry, customer, folders)
    except BadFileError as error:
        if earlier:
            return Line(entry.about, "left", f"{_PASSED_OVER}: {error}")
        return Line(entry.about, "trouble", str(error))
    except ProblemError as error:
        return Line(entry.about, "trouble", str(error))


def _idle(entry: Entry) -> str:
    """Why the reference has no use for an entry, whatever its files hold; "" where it has."""
    members = entry.members
    if "ServiceFileLocation" in members:
        if members["ServiceFileLocation"]:
            return ""
        return _OLD_KEY if members["AndroidApiKey"] else _INACTIVE
    return "" if members["AppleAuthKeyFile"] or members["ApplePushCertPrivate"] else _INACTIVE


def _passed_over(line: Line) -> bool:
    """Whether the reference would have used an earlier entry of the Type instead."""
    return line.text in (_INACTIVE, _OLD_KEY) or line.text.startswith(_PASSED_OVER)


def _apple(entry: Entry, customer: Customer, folders: tuple[Path, ...]) -> Line:
    members = entry.members
    missing = [name for name in _OF_A_KEY if not members[name]]
    certified = bool(members["ApplePushCertPrivate"])
    by_key = not missing
    if not by_key and not certified:
        raise BadFileError(f"it has no {' and no '.join(missing)}, without which its key signs nothing")
    named = members["AppleAuthKeyFile"] if by_key else members["ApplePushCertPrivate"]
    parsed = _file(
        named,
        folders,
        kind="apns_key" if by_key else "apns_cert",
        password="" if by_key else members["ApplePushCertPassword"],
        key_id=members["AppleAuthKeyID"] if by_key else "",
        team_id=members["AppleTeamID"] if by_key else "",
    )
    topic = members["ApplePushTopic"] or (next(iter(parsed.topics)) if len(parsed.topics) == 1 else "")
    if not topic:
        raise ProblemError("it has no ApplePushTopic: enter the app's bundle id there")
    host = "sandbox" if members["ApplePushUseDevelopment"] else "production"
    note = ""
    if by_key and certified:
        note = "; its certificate was left, the push proxy used the key"
    elif not by_key and members["AppleAuthKeyFile"]:
        note = f"; its key was left, the push proxy used the certificate, for it has no {' and no '.join(missing)}"
    return _store_credential(entry, customer, parsed, family="apns", topic=topic, host=host, note=note)


def _android(entry: Entry, customer: Customer, packages: Mapping[str, str], folders: tuple[Path, ...]) -> Line:
    members = entry.members
    parsed = _file(members["ServiceFileLocation"], folders, kind="fcm_account")
    package, note = packages.get(members["Type"], ""), ""
    if not package:
        # No push needs it; it is what people know the app by.
        package = parsed.key_id.partition("/")[0].replace(":", "-")
        note = (
            f"; named after its project, since the file knows no package name (give --package {members['Type']}=NAME)"
        )
    return _store_credential(entry, customer, parsed, family="fcm", topic=package, host="", note=note)


def _store_credential(
    entry: Entry, customer: Customer, parsed: Parsed, *, family: str, topic: str, host: str, note: str
) -> Line:
    label = entry.members["Type"]
    with transaction.atomic():
        app = services.app_add(customer=customer, label=label, family=family, topic=topic, host=host)
        current = Credential.objects.filter(app=app.row, slot=Credential.Slot.CURRENT).first()
        if current is not None:
            if services.credential_holds(current, parsed):
                return Line(entry.about, "there", f"{topic} with {current.key_id}{note}")
            return Line(entry.about, "left", f"{_TAKEN} ({current.key_id} is there)")
        row = services.credential_add(app=app.row, parsed=parsed).row
    where = f" on Apple's {host} host" if host else ""
    return Line(entry.about, "took", f"{topic}{where} with {row.get_kind_display()} {row.key_id}{note}")


def _file(
    named: str, folders: tuple[Path, ...], *, kind: str, password: str = "", key_id: str = "", team_id: str = ""
) -> Parsed:
    path = _found(named, folders)
    try:
        with path.open("rb") as file:
            data = file.read(pem.SIZE_MAX + 1)
    except OSError as error:
        raise ProblemError(f"{named} cannot be read: {error.strerror}") from error
    try:
        parsed = uploads.parse(data, owner=None, filename=path.name, password=password, key_id=key_id, team_id=team_id)
    except ProblemError as error:
        raise BadFileError(f"{named}: {error}") from error
    if parsed.kind != kind:
        labels = dict(table.kinds())
        held, wanted = labels[parsed.kind], labels[kind]
        raise BadFileError(f"{named} is the file of another kind of credential ({held}, where it should be {wanted})")
    return parsed


def _found(named: str, folders: tuple[Path, ...]) -> Path:
    """The file of this name: where it says, or in one of the folders, with its own folders or without."""
    wanted = Path(named)
    tries = [wanted] if wanted.is_absolute() else [folder / wanted for folder in folders]
    tries += [folder / wanted.name for folder in folders]
    for path in tries:
        if path.is_file():
            return path
    raise ProblemError(f"{named} is not there: give the folder of the key files with --files")
