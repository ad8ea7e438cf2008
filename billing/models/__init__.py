"""The tables of billing, a module for each part; all are behind both fences (tenants/scope.py, row-level security)."""

from billing.models.sla import (
    SlaCorrection,
    SlaCredit,
    SlaDay,
    SlaFile,
    SlaKey,
    SlaLedger,
    SlaMinute,
    SlaMonth,
    SlaRoot,
    SlaSecret,
)

__all__ = [
    "SlaCorrection",
    "SlaCredit",
    "SlaDay",
    "SlaFile",
    "SlaKey",
    "SlaLedger",
    "SlaMinute",
    "SlaMonth",
    "SlaRoot",
    "SlaSecret",
]
