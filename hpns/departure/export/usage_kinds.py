"""What of usage by month is in a customer's export: file, description, model, and fields with their meaning."""

from typing import Final

from billing.models import UsageCorrection, UsageLimit, UsageMonth, UsageNotice, UsageRunning
from hpns.departure.export.schema import Field, Kind
from tenants.fence import TenantModel

_MONTH: Final = ("month", "the first day of the calendar month (UTC)")
_FIGURES: Final = (
    ("pushes", "billable pushes"),
    ("devices", "active devices, counted once for each server that reached them"),
    ("phones", "active devices, counted once"),
    ("servers", "different server_ids"),
    ("seats", "users of the licence"),
    ("by_server", "pushes and devices of each server, by its id in servers.jsonl"),
    ("by_day", "pushes of each day"),
    ("devices_by_day", "active devices of each day"),
)
_INCLUDED: Final = (
    ("included_pushes", "what was included; empty: no bound"),
    ("included_devices", "as included_pushes"),
    ("included_servers", "as included_pushes"),
    ("percent", "the highest share of what was included"),
)
_FILES: Final[tuple[tuple[str, str, type[TenantModel], tuple[tuple[str, str], ...]], ...]] = (
    (
        "usage_months.jsonl",
        "What was used in each month that has ended, as it was counted two days later.",
        UsageMonth,
        (_MONTH, *_FIGURES, *_INCLUDED, ("closed_at", "when it was counted")),
    ),
    (
        "usage_corrections.jsonl",
        "Months that came to something else when they were counted again; the latest correction holds.",
        UsageCorrection,
        (
            _MONTH,
            ("at", "when it was corrected"),
            ("pushes_before", "what was stated before"),
            ("devices_before", "what was stated before"),
            *_FIGURES,
            ("reason", "why it was counted again"),
        ),
    ),
    (
        "usage_running_month.jsonl",
        "What is used of the running month: one line.",
        UsageRunning,
        (_MONTH, *_FIGURES, *_INCLUDED, ("at", "when it was counted")),
    ),
    (
        "usage_mails.jsonl",
        "E-mails about what is included that went out.",
        UsageNotice,
        (
            _MONTH,
            ("measure", "pushes, devices or servers"),
            ("step", "near (80 %), full (100 %), or limits that were announced"),
            ("at", "when it went out"),
        ),
    ),
    (
        "usage_limits.jsonl",
        "Limits because more was used than is included.",
        UsageLimit,
        (
            _MONTH,
            ("began_at", "since when"),
            ("ended_at", "until when; empty: in force"),
            ("rate", "pushes a second"),
            ("burst", "pushes at once after a quiet time"),
            ("rate_before", "as rate, before and after"),
            ("burst_before", "as burst, before and after"),
        ),
    ),
)

USAGE: Final = tuple(
    Kind(file, description, model, "customer_id", tuple(Field(*field) for field in fields))
    for file, description, model, fields in _FILES
)
LEFT_OUT_USAGE: Final = {
    (model.__name__, name): why
    for _, _, model, _ in _FILES
    for name, why in (("id", "nothing refers to it"), ("customer", "the whole archive is one customer's"))
} | {("UsageRunning", name): "bookkeeping of the count" for name in ("settled_until", "settled_by_server")}
