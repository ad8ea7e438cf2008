"""Trims a push to what a provider can take before it is queued, or says which of its members no provider takes. Pure.

No provider takes more than 5,120 bytes, and the worker would shorten the message to fit: what it would cut away need
not go through the queue. Invariant: what is delivered of a trimmed push is byte for byte what is delivered of the whole
one.
"""

from typing import Final

import msgspec

from delivery.protocol.wire import Push
from delivery.providers import text

SMALL: Final = 4_096
"""Bytes of a push as JSON up to which there is nothing to trim."""

MEMBERS_MOST: Final = 6_144
"""Bytes of all members but the texts together: the 5,120 that a provider takes at most, and 1,024 for what is not in
the body of a request, the device token and the platform."""

_TRIMMED: Final = frozenset(("message", "channel_name", "override_icon_url", "override_username", "sender_name"))
_MEMBERS: Final = tuple(
    field.name for field in msgspec.structs.fields(Push) if field.type is str and field.name not in _TRIMMED
)


class TooLarge(Exception):
    """No provider takes this push; the text names the longest member."""


def trim(push: Push) -> Push:
    """The push with texts and ornaments that are no longer than a provider can take. Raises TooLarge."""
    sizes = {name: len(getattr(push, name).encode()) for name in _MEMBERS}
    if sum(sizes.values()) > MEMBERS_MOST:
        longest = max(sizes, key=sizes.__getitem__)
        raise TooLarge(f"the push's {longest} has {sizes[longest]:,} bytes, and no provider takes that much")
    return msgspec.structs.replace(
        push,
        message=text.trimmed_message(push),
        channel_name=text.trimmed_channel_name(push),
        **text.trimmed_ornaments(push),
    )
