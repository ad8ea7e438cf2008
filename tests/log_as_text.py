"""The delivery log for tests that ask for its rows by SQL: packed ids are text, by which tests know their pushes."""

from typing import Final

from delivery.log.rows import COLUMNS
from delivery.protocol import mattermost_id

LOG_COLUMNS: Final = (
    "trace, accepted_at, ended_at, customer_id, server_id, key_id, app_id, platform, type, sub_type, ack_id, "
    "mattermost_id, device, size, outcome, code, answer, attribution, counts, attempts, post_id, count"
)
"""All columns of the delivery log, in the order in which tests that insert rows by hand give their values."""
_PACKED: Final = ("ack_id", "post_id")
_LETTERS: Final = ",".join(mattermost_id.ALPHABET)


def _letter(name: str, place: int) -> str:
    """One letter of an id of Mattermost's: five bits, the highest first, of which an id's last has but three."""
    bits = [bit for bit in range(5 * place, 5 * place + 5) if bit < 128]
    # get_bit() counts within a byte from its lowest bit on.
    worth = (f"{16 >> number} * get_bit({name}, {bit ^ 7})" for number, bit in enumerate(bits))
    return f"('{{{_LETTERS}}}'::text[])[1 + {' + '.join(worth)}]"


def as_text(name: str) -> str:
    """What a packed id or text says, so that conditions find an id of either kind."""
    letters = " || ".join(_letter(name, place) for place in range(mattermost_id.LENGTH))
    text = f"convert_from(ltrim({name}, '\\xff'::bytea), 'UTF8')"
    return f"CASE WHEN {name} IS NULL THEN '' WHEN length({name}) = 16 THEN {letters} ELSE {text} END AS {name}"


QUERY: Final = "SELECT {}, {} FROM delivery_delivery".format(  # noqa: S608
    ", ".join(name for name in COLUMNS if name not in _PACKED), ", ".join(map(as_text, _PACKED))
)
