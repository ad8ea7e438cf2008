"""The tables of billing, a module for each part; all are behind both fences (tenants/scope.py, row-level security)."""

from billing.models.usage import UsageCorrection, UsageLimit, UsageMonth, UsageNotice, UsageRunning

__all__ = ["UsageCorrection", "UsageLimit", "UsageMonth", "UsageNotice", "UsageRunning"]
