"""What of the SLA's ledger is in a customer's export: file, description, model, and fields with their meaning."""

from typing import Final

from billing.models import (
    SlaBreakMail,
    SlaCorrection,
    SlaCredit,
    SlaDay,
    SlaFile,
    SlaLedger,
    SlaMinute,
    SlaMonth,
    SlaRenewal,
)
from hpns.departure.export.schema import Field, Kind

_COUNTS: Final = (
    Field("minute", "when it begins, in UTC"),
    Field("valid", "valid pushes"),
    Field("failed_ours", "of them those that we failed"),
    Field("failed_provider", "pushes that Apple or Google failed"),
    Field("failed_customer", "pushes that failed because of the server, a key or an app"),
    Field("failed_device", "pushes that failed because of the device"),
    Field("le_1s", "valid pushes handed off within 1 s"),
    Field("le_3s", "valid pushes handed off within 3 s"),
    Field("canary", "good, bad, missing, or off"),
    Field("verdict", "ok, bad or excluded"),
    Field("reason", "what the verdict rests on"),
)

SLA: Final = (
    Kind(
        "sla_ledger.jsonl",
        "The ledger of your service level: one line.",
        SlaLedger,
        "customer_id",
        (Field("public_id", "what its chain begins with"), Field("begins", "its first day")),
    ),
    Kind(
        "sla_minutes.jsonl",
        "The judged minutes of your service level, those of days that are not sealed yet, too.",
        SlaMinute,
        "customer_id",
        _COUNTS,
    ),
    Kind(
        "sla_files.jsonl",
        "The sealed files of your service level, byte for byte, a line for each day.",
        SlaFile,
        "customer_id",
        (Field("day", "the day"), Field("content", "the file, which is hashed")),
    ),
    Kind(
        "sla_days.jsonl",
        "The chain of these files, and the proof of each day that its head is in the published root.",
        SlaDay,
        "customer_id",
        (
            Field("day", "the day"),
            Field("sha", "SHA-256 of its file"),
            Field("head", "the head of the chain"),
            Field("index", "the head's place among those of the day"),
            Field("size", "how many heads the day has"),
            Field("path", "the inclusion proof"),
        ),
    ),
    Kind(
        "sla_breaks.jsonl",
        "Breaks of this chain after which it was begun anew.",
        SlaRenewal,
        "customer_id",
        (
            Field("broke_on", "the first day without a head that follows"),
            Field("old_head", "the last good head before it"),
            Field("begins", "the new chain's first day, whose file holds the days between"),
            Field("decided_at", "when it was decided"),
            Field("decided_by", "who decided it"),
            Field("reason", "why"),
        ),
    ),
    Kind(
        "sla_break_mails.jsonl",
        "E-mails about such breaks.",
        SlaBreakMail,
        "customer_id",
        (
            Field("kind", "broken, or anew: the chain was begun anew"),
            Field("day", "the first day without a head that follows; of a new chain its first one"),
            Field("found_at", "when that was found"),
            Field("sent_at", "when it went out; empty: not yet"),
        ),
    ),
    Kind(
        "sla_corrections.jsonl",
        "Corrections of sealed minutes.",
        SlaCorrection,
        "customer_id",
        (
            Field("day", "the day in whose file it stands"),
            Field("favours_customer", "whether it can only lower the uptime that is told"),
            Field("made_at", "when it was made"),
            *_COUNTS,
        ),
    ),
    Kind(
        "sla_months.jsonl",
        "The figures of each month that is over.",
        SlaMonth,
        "customer_id",
        (
            Field("month", "its first day"),
            Field("valid", "valid pushes"),
            Field("failed_ours", "of them those that we failed"),
            Field("minutes", "minutes of the month"),
            Field("bad_minutes", "of them bad ones"),
            Field("excluded_minutes", "and those excluded by announced maintenance"),
            Field("by_time", "uptime by time, in percent"),
            Field("by_requests", "uptime by requests; empty: too few pushes"),
            Field("uptime", "the worse of both"),
            Field("within_1s", "the share handed off within 1 s, in percent"),
            Field("within_3s", "the share handed off within 3 s, in percent"),
            Field("credit_percent", "the credit that this is worth on a plan with the SLA"),
        ),
    ),
    Kind(
        "sla_credits.jsonl",
        "What you were credited for months whose promise was not kept.",
        SlaCredit,
        "customer_id",
        (
            Field("month", "its first day"),
            Field("percent", "of the month's fee, in all"),
            Field("price_minor", "the month's fee in minor units"),
            Field("amount_minor", "what this adds, in minor units"),
            Field("currency", "ISO 4217"),
            Field("root", "the Merkle root of the month's last day"),
            Field("made_at", "when it was given"),
        ),
    ),
)
SLA_LEFT_OUT: Final = {
    (model.__name__, name): reason
    for model in (
        *(SlaLedger, SlaMinute, SlaFile, SlaDay, SlaRenewal, SlaBreakMail),
        *(SlaCorrection, SlaMonth, SlaCredit),
    )
    for name, reason in (("id", "nothing refers to it"), ("customer", "the whole archive is one customer's"))
}
