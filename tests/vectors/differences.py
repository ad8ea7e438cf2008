"""Where this service does on purpose something else than the recorded reference: the data of the comparisons.

A row names a tag of the recording, or single vectors by their names where the reference was right by its own rules, and
says what we do instead, why, and which members of the provider's request may differ; everything else must be equal.
Invariant: no row is idle. The comparisons fail on a difference without a row and on a row without a difference.
"""

from dataclasses import dataclass

MESSAGE = ("aps.alert", "message.data.message")
NAMES = ("channel_name", "sender_name", "message.data.channel_name", "message.data.sender_name")


@dataclass(frozen=True, slots=True)
class Difference:
    """One row: `tag`, or the `names` of vectors; `members` are dotted paths into the JSON that a provider is sent."""

    instead: str
    why: str
    members: tuple[str, ...]
    tag: str = ""
    names: tuple[str, ...] = ()
    providers: tuple[str, ...] = ("apns", "fcm")

    def covers(self, name: str, tags: tuple[str, ...]) -> bool:
        """Tell whether the row is about a vector of this name and these tags."""
        return name in self.names or self.tag in tags


BODIES = (
    Difference(
        tag="emoji",
        instead="The glyph stands alone; names that the apps do not know (:flag-zz:) stay as they were written.",
        why="The reference adds a blank after each glyph, and its table is not the one that Mattermost's apps use.",
        members=MESSAGE,
    ),
    Difference(
        names=(
            "Message text (emoji odd, 3) to apple_rn-v2",
            "Message text (emoji odd, 3) without a channel name",
            "Message text (emoji odd, 3) to android_rn-v2",
            "Message text (emoji odd, 3) in a session push",
        ),
        instead="In :foo:smile: the smile is shown.",
        why="The reference takes the colon behind an unknown name away from the name that it opens.",
        members=MESSAGE,
    ),
    Difference(
        names=("Message text (emoji odd, 21) to apple_rn-v2", "Message text (emoji odd, 21) to android_rn-v2"),
        instead="Names with a skin tone are shown.",
        why="Mattermost's apps write them into messages; the reference's table lacks them.",
        members=MESSAGE,
    ),
    Difference(
        names=("Message text (emoji odd, 24) to apple_rn-v2", "Message text (emoji odd, 24) to android_rn-v2"),
        instead="The names that Mattermost added itself (:ca:) are shown.",
        why="They are in the picker of Mattermost's apps; the reference's table lacks them.",
        members=MESSAGE,
    ),
    Difference(
        tag="text_limit",
        instead="The message keeps all that fits into the provider's limit and is cut, with an ellipsis, between "
        "characters; a channel's name is cut at 64 characters, Mattermost's own limit.",
        why="The reference cuts at 2,046 and 64 bytes, inside a character if need be, which then shows as U+FFFD.",
        members=(*MESSAGE, "channel_name", "message.data.channel_name"),
    ),
    Difference(
        tag="oversize",
        instead="The message is shortened until the body fits; where other members alone are too long, it is left out.",
        why="The reference sends bodies that the provider refuses.",
        members=MESSAGE,
    ),
    Difference(
        tag="size_limit",
        instead="A body beyond 256 KB is refused at the door; were it let in, the message would be cut to fit.",
        why="The reference reads whatever comes.",
        members=MESSAGE,
    ),
    Difference(
        tag="replacement_characters",
        instead="A cut UTF-8 sequence becomes one U+FFFD.",
        why="How many there are is no contract; the reference writes one for each byte.",
        members=(*MESSAGE, *NAMES),
    ),
    Difference(
        tag="wipe_not_silent",
        instead="A session wipe wakes the app (content-available) and shows and sounds nothing.",
        why="The server asks for that (cont_ava 1, no message); the reference shows an empty alert with a sound.",
        members=("aps.alert", "aps.content-available", "aps.mutable-content", "aps.sound"),
        providers=("apns",),
    ),
)
