"""The tables of billing, a module for each part; all are behind both fences (tenants/scope.py, row-level security)."""

from billing.models.incidents import CanaryMinute, Incident, IncidentUpdate, MaintenanceWindow, Notice, PAGES, StatusDay, Subscriber
from billing.models.sla import SlaCorrection, SlaCredit, SlaDay, SlaFile, SlaKey, SlaLedger, SlaMinute, SlaMonth, SlaRoot, SlaSecret

__all__ = ["CanaryMinute", "Incident", "IncidentUpdate", "MaintenanceWindow", "Notice", "PAGES", "SlaCorrection", "SlaCredit", "SlaDay", "SlaFile", "SlaKey", "SlaLedger", "SlaMinute", "SlaMonth", "SlaRoot", "SlaSecret", "StatusDay", "Subscriber"]
