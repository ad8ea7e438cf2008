"""The tables of billing, a module for each part; all are behind both fences (tenants/scope.py, row-level security)."""

from billing.models.incidents import (
    PAGES,
    CanaryMinute,
    Incident,
    IncidentUpdate,
    MaintenanceWindow,
    Notice,
    StatusDay,
    Subscriber,
)

__all__ = [
    "PAGES",
    "CanaryMinute",
    "Incident",
    "IncidentUpdate",
    "MaintenanceWindow",
    "Notice",
    "StatusDay",
    "Subscriber",
]
