"""The delivery log for tests that ask for its rows by SQL: packed ids are text, by which tests know their pushes."""

from typing import Any, Final

from delivery.log.rows import COLUMNS
from delivery.protocol import mattermost_id

LOG_COLUMNS: Final = (
    "trace, accepted_at, ended_at, customer_id, server_id, key_id, app_id, platform, type, sub_type, ack_id, "
    "mattermost_id, device, size, outcome, code, answer, attribution, counts, attempts, post_id, count"
)
"""All columns of the delivery log, in the order in which tests that insert rows by hand give their values."""
_PACKED: Final = ("ack_id", "post_id")
# What is no id of Mattermost's is text in the query already, for its conditions.
QUERY: Final = "SELECT {}, {} FROM delivery_delivery".format(  # noqa: S608
    ", ".join(name for name in COLUMNS if name not in _PACKED),
    ", ".join(
        f"{name} AS packed_{name}, CASE WHEN length({name}) <> 16 "
        f"THEN convert_from(ltrim({name}, '\\xff'::bytea), 'UTF8') END AS {name}"
        for name in _PACKED
    ),
)


def unpacked(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of QUERY, with the ids as they were sent."""
    for row in rows:
        for name in _PACKED:
            row[name] = mattermost_id.unpack(row.pop(f"packed_{name}"))
    return rows
