"""What rows of the log and receipts say of devices, as SQL: each statement may be run again and changes nothing then.

Invariant: the upserts are joins in the sense of a lattice (least, greatest, union), so that the order of rows and how
often they are read make no difference.
"""

from datetime import date, datetime
from typing import Any, Final

from delivery.rollups.cells import FAMILY

KEY: Final = ("customer_id", "device", "server_id", "app_id", "family")
TIMES: Final = ("first_at", "last_at", "sent_at", "acked_at", "removed_at", "failed_at", "session_at")
CODES: Final = ("removed_code", "failed_code")
COLUMNS: Final = (*KEY, *TIMES, *CODES)
LOCK: Final = "hashtext('delivery devices')"


def _latest_code(condition: str) -> str:
    return f"coalesce((array_agg(d.code ORDER BY d.accepted_at DESC, d.code DESC) FILTER (WHERE {condition}))[1], '')"


_GONE, _FAILED = "d.outcome = 'gone'", "d.outcome NOT IN ('sent', 'gone')"
# Of the rows that {where} names, one row for each device as one server reached it through one app. {matched} bounds the
# receipts that are looked at, as no planner can conclude it through an outer join.
FACTS: Final = f"""
    SELECT d.customer_id, d.device, d.server_id, coalesce(d.app_id, 0) AS app_id, {FAMILY} AS family,
        min(d.accepted_at) AS first_at, max(d.accepted_at) AS last_at,
        max(d.accepted_at) FILTER (WHERE d.outcome = 'sent') AS sent_at,
        max(r.push_at) AS acked_at,
        max(d.accepted_at) FILTER (WHERE {_GONE}) AS removed_at,
        max(d.accepted_at) FILTER (WHERE {_FAILED}) AS failed_at,
        max(d.accepted_at) FILTER (WHERE d.type = 'session') AS session_at,
        {_latest_code(_GONE)} AS removed_code, {_latest_code(_FAILED)} AS failed_code
    FROM delivery_delivery d LEFT JOIN delivery_receipt r
        ON r.trace = d.trace AND r.push_at = d.accepted_at AND NOT r.repeated AND {{matched}}
    WHERE {{where}} AND d.device <> ''
    GROUP BY 1, 2, 3, 4, 5"""  # noqa: S608  of constants of ours, as all below
WITHIN: Final = "d.accepted_at >= %(start)s AND d.accepted_at < %(end)s"
_MATCHED_WITHIN: Final = "r.push_at >= %(start)s AND r.push_at < %(end)s"
# The facts of a span of time, and of some devices in the whole log.
OF_SPAN: Final = FACTS.replace("{where}", WITHIN).replace("{matched}", _MATCHED_WITHIN)
OF_DEVICES: Final = FACTS.replace("{where}", "d.device = ANY(%(devices)s)").replace("{matched}", "true")


def _later(name: str) -> str:
    """The code that belongs to the later time; of the same time the greater one."""
    return (
        f"CASE WHEN (coalesce(new.{name}_at, '-infinity'), new.{name}_code) > "
        f"(coalesce(old.{name}_at, '-infinity'), old.{name}_code) THEN new.{name}_code ELSE old.{name}_code END"
    )


_MERGED: Final = {
    "first_at": "least(old.first_at, new.first_at)",
    **{name: f"greatest(old.{name}, new.{name})" for name in TIMES if name != "first_at"},
    **{name: _later(name.removesuffix("_code")) for name in CODES},
}
# Whether the facts `new` add anything to the row `old`. PostgreSQL's least() and greatest() leave NULLs out.
NEWS: Final = " OR ".join(f"old.{name} IS DISTINCT FROM {merged}" for name, merged in _MERGED.items())


def _upsert(facts: str) -> str:
    columns = ", ".join(COLUMNS)
    merged = ", ".join(f"{name} = {merge}" for name, merge in _MERGED.items()).replace("new.", "EXCLUDED.")
    return f"""
INSERT INTO delivery_device AS old ({columns}) SELECT {columns} FROM ({facts}) AS facts
ON CONFLICT ({", ".join(KEY)}) DO UPDATE SET {merged} WHERE {NEWS.replace("new.", "EXCLUDED.")}"""  # noqa: S608


_ADD_SPAN, _ADD_DEVICES = _upsert(OF_SPAN), _upsert(OF_DEVICES)
# Pushes of a server's test of its connection are no use of the phone; what no provider took has reached none.
REACHED: Final = f"""
    SELECT d.customer_id, d.server_id, d.device,
        date_trunc('month', d.accepted_at AT TIME ZONE 'UTC')::date AS month,
        bit_or(1 << (extract(day FROM d.accepted_at AT TIME ZONE 'UTC')::int - 1)) AS days
    FROM delivery_delivery d
    WHERE {WITHIN} AND d.device <> '' AND d.outcome = 'sent' AND d.type <> 'test'
    GROUP BY 1, 2, 3, 4"""  # noqa: S608
_ADD_REACHED: Final = f"""
INSERT INTO delivery_active_device AS old (customer_id, server_id, device, month, days) {REACHED}
ON CONFLICT (customer_id, month, server_id, device) DO UPDATE SET days = old.days | EXCLUDED.days
WHERE old.days <> old.days | EXCLUDED.days"""
_ADD_RECEIPTS: Final = f"""
UPDATE delivery_device AS old SET acked_at = greatest(old.acked_at, new.acked_at) FROM (
    SELECT d.customer_id, d.device, d.server_id, coalesce(d.app_id, 0) AS app_id, {FAMILY} AS family,
        max(d.accepted_at) AS acked_at
    FROM unnest(%(traces)s::text[], %(times)s::timestamptz[]) AS noted (trace, push_at)
    JOIN delivery_delivery d ON d.trace = noted.trace AND d.accepted_at = noted.push_at
    WHERE d.device <> '' AND d.accepted_at >= %(start)s AND d.accepted_at <= %(end)s
    GROUP BY 1, 2, 3, 4, 5) AS new
WHERE {" AND ".join(f"old.{name} = new.{name}" for name in KEY)} AND old.acked_at IS DISTINCT FROM
    greatest(old.acked_at, new.acked_at)"""  # noqa: S608


def add(cursor: Any, start: datetime, end: datetime) -> bool:
    """Take in the rows accepted from `start` to before `end`, with their receipts; whether that changed how many were
    reached. In the cursor's transaction. Raises django.db.Error."""
    bounds = {"start": start, "end": end}
    cursor.execute(_ADD_SPAN, bounds)
    cursor.execute(_ADD_REACHED, bounds)
    return bool(cursor.rowcount)


def add_devices(cursor: Any, devices: list[str]) -> None:
    """Take in all rows of these devices that the log has. Raises django.db.Error."""
    cursor.execute(_ADD_DEVICES, {"devices": devices})


def add_receipts(cursor: Any, found: list[tuple[str, datetime]]) -> None:
    """Take in the receipts of these pushes, by trace and accepted_at. A push whose row was not taken in yet is left to
    that row, which brings its receipt along. Raises django.db.Error."""
    times = [at for _, at in found]
    traces = [trace for trace, _ in found]
    bounds = {"start": min(times), "end": max(times)}
    cursor.execute(_ADD_RECEIPTS, {"traces": traces, "times": times, **bounds})


def forget_counts(cursor: Any, month: date) -> None:
    """Take the counts of a month back, so that they are made anew. Raises django.db.Error."""
    cursor.execute("DELETE FROM delivery_device_count WHERE month = %s", [month])
