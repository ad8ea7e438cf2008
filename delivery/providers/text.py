"""The text of a push as a phone is to show it, how it is shortened, and what goes before it is. Pure.

Invariant: a cut text is valid Unicode, ends in an ellipsis, and never ends inside what a reader sees as one character.
"""

import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from delivery.protocol.wire import Push
from delivery.providers import emoji

ELLIPSIS: Final = "\u2026"

CHANNEL_NAME_LIMIT: Final = 64
"""Characters of a channel's display name (Mattermost's own limit); the names of group messages are longer."""

SHOWN_TYPES: Final = frozenset(("message", "session"))
"""The types whose text is written by or for people, and so may hold emoji names."""

ICON_KEPT: Final = 256
"""Characters of the address of a webhook's icon that are let take the place of text: those of real life are shorter."""

TRIMMED_TO: Final = 4_200
"""Bytes of a text that are kept of a longer one. More than any provider's limit, so that what is kept is itself too
long to be sent whole, and is shortened just where the whole text would be."""

NAME_TRIMMED_TO: Final = 5_200
"""Characters of an ornament that are kept of a longer one: more than fit into a call, which has the most room."""

_MARGIN: Final = 256
"""Bytes; longer than any name of an emoji."""

_LONGEST: Final = 65_536
"""No text is looked at beyond this many characters: emoji names shrink, but not to a sixteenth."""

_ZERO_WIDTH_JOINER: Final = "\u200d"
_STEPS_BACK: Final = 32


def message(push: Push) -> str:
    """Return the text to show, with emoji in place of their names.

    An id-loaded push keeps its text as it is, like the reference proxy: the phone replaces it with the post.
    """
    text = push.message
    if len(text) > _LONGEST:
        text = text[:_LONGEST]
    if push.is_id_loaded or push.type not in SHOWN_TYPES:
        return text
    return emoji.replace(text)


def channel_name(push: Push) -> str:
    """Return the channel's name, cut to CHANNEL_NAME_LIMIT characters."""
    return _cut(push.channel_name)


def _cut(name: str) -> str:
    return name if len(name) <= CHANNEL_NAME_LIMIT else name[: boundary(name, CHANNEL_NAME_LIMIT)]


def without_ornaments(push: Push) -> Iterator[Push]:
    """Yield a push that is too large with less and less of what only adorns it: its text is worth more.

    First without the icon of a webhook, where its address is longer than any real one; then with the names of its
    sender cut as a channel's is. What is of ordinary length stays, whatever the length of the text.
    """
    if len(push.override_icon_url) > ICON_KEPT:
        push = msgspec.structs.replace(push, override_icon_url="")
        yield push
    names = {name: _cut(getattr(push, name)) for name in ("override_username", "sender_name")}
    cut = msgspec.structs.replace(push, **names)
    if cut != push:
        yield cut


def trimmed_ornaments(push: Push) -> dict[str, str]:
    """Return what any provider can need at the most of the members that without_ornaments() cuts."""
    icon = push.override_icon_url
    return {
        "override_icon_url": "" if len(icon) > NAME_TRIMMED_TO else icon,
        "override_username": push.override_username[:NAME_TRIMMED_TO],
        "sender_name": push.sender_name[:NAME_TRIMMED_TO],
    }


def trimmed_message(push: Push) -> str:
    """Return what message() of the text can need at the most: all of it, or a beginning of TRIMMED_TO bytes.

    For what carries a push to whoever makes its body: it makes the same of either. In a text of emoji names the names
    are replaced already, because what they leave is shorter than they are.
    """
    text = push.message
    if len(text) * 4 <= TRIMMED_TO or len(text.encode()) <= TRIMMED_TO:
        return text
    if push.is_id_loaded or push.type not in SHOWN_TYPES:
        return _beginning(text.encode(), TRIMMED_TO)
    # The last name of a beginning may be half a one, and no name is as long as the margin.
    shown = b""
    for length in (2 * TRIMMED_TO, _LONGEST):
        shown = emoji.replace(text[:length]).encode()
        if len(shown) >= TRIMMED_TO + _MARGIN or length >= len(text):
            break
    return _beginning(shown, TRIMMED_TO)


def trimmed_channel_name(push: Push) -> str:
    """Return what channel_name() can need at the most: all of the name, or its beginning."""
    return push.channel_name[: 2 * CHANNEL_NAME_LIMIT]


def _beginning(encoded: bytes, most: int) -> str:
    """Return the whole characters of the first `most` bytes of a text."""
    return encoded[:most].decode(errors="ignore")


def shorten(text: str, room: int, size: Callable[[str], int]) -> str:
    """Return the longest beginning of `text` that with an ellipsis has at most `room`, or "" where none has.

    `size` gives what a text takes in the unit of `room`, at least one for a character. A text that has room stays
    whole.
    """
    if size(text) <= room:
        return text
    room -= size(ELLIPSIS)
    lengths = range(1, min(len(text), max(room, 0)) + 1)  # no character takes less than one
    longest = boundary(text, bisect_right(lengths, room, key=lambda length: size(text[:length])))
    return text[:longest] + ELLIPSIS if longest else ""


def boundary(text: str, at: int) -> int:
    """Return the last place up to `at` where `text` may be cut without parting what is seen as one character.

    Kept together: combining marks and variation selectors with their base, skin tones, sequences with a zero-width
    joiner, the two halves of a flag, and the tags of a regional flag. (The usual cases of
    https://www.unicode.org/reports/tr29/; where someone stacks more than 32 of them, they are parted.)
    """
    if at >= len(text):
        return len(text)
    for place in range(at, max(at - _STEPS_BACK, 0), -1):
        if not _belongs(text, place):
            return place
    return at if at > _STEPS_BACK else 0


def _belongs(text: str, place: int) -> bool:
    """Tell whether the character at `place` is seen as one with the character before it."""
    before, char = text[place - 1], text[place]
    if char < "\u0300":  # nothing below is ever part of another; the joiner is above
        return before == _ZERO_WIDTH_JOINER
    if _is_flag_half(char) and _is_flag_half(before):
        halves = 1
        while halves <= place and _is_flag_half(text[place - halves]):
            halves += 1
        return (halves - 1) % 2 == 1
    return (
        _ZERO_WIDTH_JOINER in (before, char)
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or "\U000e0020" <= char <= "\U000e007f"
        or unicodedata.category(char) in ("Mn", "Me", "Mc")
    )


def _is_flag_half(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"
