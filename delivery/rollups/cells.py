"""The cells of rollups: what rows of the log are told apart by, as Python and as SQL that say the same.

Labels that strangers choose (platform, type) become one of a few here, so that nobody can make many cells.
"""

from typing import Final, NamedTuple

from delivery.metrics.names import TYPES
from delivery.rollups.buckets import EDGES, SLOTS
from tenants.providers.table import PLATFORMS, family_of

OTHER: Final = "other"
UNITS: Final = ("minute", "hour")
DAY: Final = "day"
"""The unit that is only of customers, and is made of their hours (compacting.py)."""
MEASURES: Final = ("pushes", "acked", "handoff", "receipt")
WHAT: Final = ("outcome", "code", "attribution", "counts")
DIMENSIONS: Final = {
    "delivery_{unit}": ("at", "customer_id", "grain", "server_id", "app_id", "family", "type", *WHAT),
    "delivery_service_{unit}": ("at", "family", *WHAT),
}
"""The columns that tell the cells of each table apart, by its name."""
OF_CUSTOMERS: Final = DIMENSIONS["delivery_{unit}"]


class Table(NamedTuple):
    """A table of rollups: its name by unit, its dimensions beside `at` and what became of the pushes, each with its SQL
    expression over BASE ("": the column of that name), and by which name it is read."""

    name: str
    dimensions: dict[str, str]
    read: str


_PLAIN: Final = dict.fromkeys(("customer_id", "server_id", "app_id", "family", "type"), "")
_WHOLE: Final = {"server_id": "0", "app_id": "0", "type": "''"}
TABLES: Final = (
    Table("delivery_{unit}", {"grain": "0", **_PLAIN}, "delivery_{unit}_now"),
    Table(
        "delivery_{unit}",
        {"grain": "1", **_PLAIN, "server_id": "0", "app_id": "0", "type": "''"},
        "delivery_{unit}_now",
    ),
    Table("delivery_service_{unit}", {"family": ""}, "delivery_service_{unit}"),
)


def family(platform: str) -> str:
    """The provider's family of a push's platform, or other."""
    return family_of(platform) or OTHER


def kind(push_type: str) -> str:
    """The type of a push, or other."""
    return push_type if push_type in TYPES else OTHER


FAMILY: Final = "CASE {} ELSE '{}' END".format(
    " ".join(f"WHEN starts_with(d.platform, '{head}') THEN '{name}'" for head, name in PLATFORMS.items()), OTHER
)
_TYPE: Final = f"CASE WHEN d.type IN ({', '.join(repr(name) for name in sorted(TYPES))}) THEN d.type ELSE '{OTHER}' END"


def _bucket(end: str) -> str:
    # A clock that was set by years between both moments must not overflow: beyond these all is one bucket anyway.
    milliseconds = f"greatest(-1, least(round(extract(epoch FROM {end} - d.accepted_at) * 1000), 2000000000))::int"
    return f"width_bucket({milliseconds}, ARRAY[{', '.join(map(str, EDGES))}])"


# Of the customer that is the service's own. Its pushes are counted as its own, and in no sum of all customers.
CANARIES: Final = "SELECT id FROM tenants_customer WHERE canary"

# The rows of the log of a span of time, each with the first receipt of its push, as what the tables need of them.
BASE: Final = f"""
base AS MATERIALIZED (
    SELECT d.accepted_at, d.customer_id, d.server_id, coalesce(d.app_id, 0) AS app_id, {FAMILY} AS family,
        {_TYPE} AS type, d.outcome, d.code, d.attribution, d.counts, d.count, {_bucket("d.ended_at")} AS handoff,
        CASE WHEN r.received_at IS NOT NULL THEN {_bucket("r.received_at")} END AS receipt
    FROM delivery_delivery d
    LEFT JOIN delivery_receipt r ON r.trace = d.trace AND NOT r.repeated
        AND r.push_at >= %(start)s AND r.push_at < %(end)s
    WHERE d.accepted_at >= %(start)s AND d.accepted_at < %(end)s
)"""  # noqa: S608  of constants of ours


def cells(unit: str, dimensions: dict[str, str]) -> tuple[tuple[str, ...], str]:
    """The columns, and a SELECT over BASE that counts its rows per minute or hour by these dimensions (name: the
    expression, "" for the column itself)."""
    named = {"at": f"date_trunc('{unit}', accepted_at, 'UTC')", **dimensions, **dict.fromkeys(WHAT, "")}
    columns = ", ".join(f"{expression or name} AS {name}" for name, expression in named.items())
    names = ", ".join(named)
    whose = "" if "customer_id" in dimensions else f" WHERE customer_id NOT IN ({CANARIES})"
    select = f"""
    SELECT {names}, (sum(n) FILTER (WHERE by_handoff))::bigint,
        coalesce(sum(n) FILTER (WHERE NOT by_handoff), 0)::bigint,
        coalesce(array_agg(n * {SLOTS} + handoff ORDER BY handoff) FILTER (WHERE by_handoff), '{{}}'),
        coalesce(array_agg(n * {SLOTS} + receipt ORDER BY receipt) FILTER (WHERE NOT by_handoff), '{{}}'),
        true
    FROM (
        SELECT {names}, handoff, receipt, GROUPING(receipt) = 1 AS by_handoff,
            CASE WHEN GROUPING(receipt) = 1 THEN sum(count) ELSE count(*) END::bigint AS n
        FROM (SELECT {columns}, handoff, receipt, count FROM base{whose}) AS named
        GROUP BY GROUPING SETS (({names}, handoff), ({names}, receipt))
        HAVING GROUPING(receipt) = 1 OR receipt IS NOT NULL
    ) AS counted
    GROUP BY {names}"""  # noqa: S608  names and expressions of ours
    return (*named, *MEASURES, "merged"), select
