"""What somebody who searches means: ids, addresses and lines of logs in whatever they paste. Pure.

Invariant: a device id is kept apart from all else (Kind.DEVICE), so that it comes into no address and no log.
"""

import re
from enum import StrEnum
from typing import Final, NamedTuple

from delivery.insight.catalogue import ENTRIES


class Kind(StrEnum):
    """What a term is. The values stand in addresses, but for DEVICE, whose place takes PRINT."""

    TRACE = "trace"
    ACK = "ack"
    POST = "post"
    ID = "id"
    """An id of Mattermost's, of an ack or of a post."""
    DEVICE = "device_id"
    PRINT = "device"
    """The fingerprint of a device, as the pages show it."""
    KEY = "key"
    SERVER = "server"
    CODE = "code"
    FORMER = "former"
    """What Mattermost's own push proxy says of a refused push, whatever the reason."""


class Term(NamedTuple):
    """One reading of what was typed: what it is, its value, and where it was found ("" if it is all there was)."""

    kind: Kind
    value: str
    source: str = ""


MOST: Final = 20_000
"""Characters that are looked at: more is no line of a log."""
_NAME_MOST: Final = 200
_ID_MOST: Final = 64
LINK: Final = "link"
LINE: Final = "line"

_TRACE: Final = re.compile(r"(?<![0-9A-Za-z-])[0-9a-f]{12}-[0-9a-f]{1,16}(?![0-9A-Za-z-])")
_LINK: Final = re.compile(r"/pl/([A-Za-z0-9]{26})(?![A-Za-z0-9])")
_CODE_PAGE: Final = re.compile(r"/codes/([a-z0-9_]{1,64})(?![a-z0-9_])")
_KEY: Final = re.compile(r"(?<![0-9A-Za-z])hk_([0-9A-Za-z]{8})(?![0-9A-Za-z])")
# ackId and ack_id, in JSON, in logfmt and in plain text; what is quoted in a string of JSON has backslashes.
_NAMED: Final = re.compile(
    r"(?<![0-9A-Za-z_])(ack|post|device)_?id[\"'\\]*\s*[:=]\s*[\"'\\]*([^\s\"'\\,;(){}\[\]]{1,4096})", re.IGNORECASE
)
_MATTERMOST_ID: Final = re.compile(r"[a-z0-9]{26}")
_PLATFORM: Final = re.compile(r"(?:apple|android)[0-9A-Za-z_]*(?:-v[0-9]+)?:(\S{8,4096})")
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{32}")
# Apple's are 64 hex digits or more of them, Google's a name, a colon and more than a hundred letters.
_TOKEN: Final = re.compile(r"[0-9A-Za-z_:-]{40,4096}")
_WORD: Final = re.compile(r"[0-9A-Za-z_-]+")
# The providers' own words. Some of both differ in their letters' case alone: as they are written they are found first.
_REPLIES: Final = {
    word: code
    for write in (str.lower, str)
    for code, entry in reversed(ENTRIES.items())
    for reply in entry.replies
    if (word := write(reply.partition(" ")[2]))
}
# Source: mattermost-push-proxy, server/apple_notification_server.go.
_FORMER: Final = "unknown send response error"
_KINDS: Final = {"ack": Kind.ACK, "post": Kind.POST, "device": Kind.DEVICE}


def understand(text: str) -> list[Term]:
    """The readings of what was typed, the likeliest first; none if nothing can be made of it."""
    text = text.strip()
    if not text or len(text) > MOST or "\0" in text:
        return []
    single = not re.search(r"\s", text)
    found = [Term(Kind.TRACE, match[0], "" if match[0] == text else LINE) for match in _TRACE.finditer(text)][:1]
    if "/pl/" in text:
        found += [Term(Kind.POST, match[1].lower(), LINK) for match in _LINK.finditer(text)][:1]
    found += _named(text)
    if key := _KEY.search(text):
        found.append(Term(Kind.KEY, key[1]))
    if page := _CODE_PAGE.search(text):
        found += [Term(Kind.CODE, page[1])] if page[1] in ENTRIES else []
    if _FORMER in text.lower():
        found.append(Term(Kind.FORMER, _FORMER))
    if found:
        return found
    return _whole(text) if single else _words(text)


def device_token(text: str) -> str:
    """The token in a device id, with which a server pushes: "apple_rn-v2:TOKEN" without its platform."""
    match = _PLATFORM.fullmatch(text)
    return match[1] if match else text


def _named(text: str) -> list[Term]:
    first: dict[Kind, Term] = {}
    for match in _NAMED.finditer(text):
        kind, value = _KINDS[match[1].lower()], match[2]
        if kind is Kind.DEVICE:
            first.setdefault(kind, Term(kind, device_token(value), LINE))
        elif len(value) <= _ID_MOST:
            first.setdefault(kind, Term(kind, value, LINE))
    return [first[kind] for kind in (Kind.ACK, Kind.POST, Kind.DEVICE) if kind in first]


def _whole(text: str) -> list[Term]:
    """The readings of one word."""
    if _MATTERMOST_ID.fullmatch(text):
        return [Term(Kind.ID, text)]
    if _PLATFORM.fullmatch(text):
        return [Term(Kind.DEVICE, device_token(text))]
    if _FINGERPRINT.fullmatch(text):
        return [Term(Kind.PRINT, text)]
    code = text.lower().rstrip(":")
    if known := code if code in ENTRIES else _REPLIES.get(text) or _REPLIES.get(code):
        return [Term(Kind.CODE, known)]
    if _TOKEN.fullmatch(text) and "." not in text:
        return [Term(Kind.DEVICE, text)]
    found = [Term(Kind.SERVER, text)] if len(text) <= _NAME_MOST and text.isprintable() else []
    if _WORD.fullmatch(text) and len(text) <= _ID_MOST:
        found.append(Term(Kind.ID, text))
    return found


def _words(text: str) -> list[Term]:
    """The readings of several words: the text of an error, or a name."""
    first = text.split(maxsplit=1)[0].strip("\"':,").lower()
    if first in ENTRIES:
        return [Term(Kind.CODE, first, LINE)]
    if len(text) <= _NAME_MOST and text.isprintable():
        return [Term(Kind.SERVER, text)]
    # A line whose names are others: an id of Mattermost's that stands in it may be a post's or an ack's.
    ids = dict.fromkeys(match[0] for match in re.finditer(r"(?<![0-9A-Za-z])[a-z0-9]{26}(?![0-9A-Za-z])", text))
    return [Term(Kind.ID, each, LINE) for each in list(ids)[:5]]
