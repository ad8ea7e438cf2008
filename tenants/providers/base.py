"""What a push provider is to customers: which platforms, hosts, credential kinds and files it has. Pure data types."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec


class Parsed(NamedTuple):
    """A credential as it was understood.

    `kind` is one of the provider's kinds, which says what `secret` holds; `key_id` may be shown. A certificate
    also says until when, for which `topics` and for which of the provider's `hosts` it is good (both empty: it does not
    say).
    """

    kind: str
    secret: dict[str, str]
    key_id: str
    expires_at: datetime | None = None
    topics: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()


class Upload(NamedTuple):
    """An uploaded file with what was entered beside it: its name, its password, Apple's ids.

    `setting` reads one of our settings by its name; `now` takes the place of the clock.
    """

    data: bytes
    setting: Callable[[str], str]
    filename: str = ""
    password: str = ""
    key_id: str = ""
    team_id: str = ""
    now: datetime | None = None


class FileOption(NamedTuple):
    """A file that a command takes by an option of its own: the option's name (p8), its help, and the reader.

    Without a reader it is found out by its content what the file is.
    """

    name: str
    help: str
    read: Callable[[Upload], Parsed] | None = None


def no_topic_fault(topic: str) -> str:
    """Find nothing wrong with a topic."""
    return ""


class Provider(msgspec.Struct, frozen=True):
    """One push provider.

    family is its name in the database; name is for people; platform is the head of the platforms and app labels that
    are its (such as "apple" of "apple_rn-v2"); labels are those that an app can be made for, with words; hosts are the
    provider's hosts between which an app chooses, the usual one first (none: there is no choice); origins
    are the settings that hold their addresses; kinds are its
    credentials, with words; files says what may be uploaded, wanted the same more briefly, upload_help the same for the
    field of a form; upload_fields are what a form asks for beside the file; options are the files that a command
    takes by name; bound_kinds are those of its kinds
    that are good for one topic alone; silence says why a phone of its may acknowledge nothing; phones is what
    people call those; read() reads any of them, returns None for a
    file that is none of this provider's, and raises
    ProblemError for one that is and cannot be used; topic_fault() says why a text of the form of a topic can be none of
    an app, "" where it can.
    """

    family: str
    name: str
    platform: str
    labels: tuple[tuple[str, str], ...]
    hosts: tuple[str, ...]
    origins: tuple[str, ...]
    kinds: Mapping[str, str]
    files: str
    wanted: str
    upload_help: str
    upload_fields: frozenset[str]
    options: tuple[FileOption, ...]
    read: Callable[[Upload], Parsed | None]
    silence: str = ""
    bound_kinds: frozenset[str] = frozenset()
    phones: str = ""
    topic_fault: Callable[[str], str] = no_topic_fault
