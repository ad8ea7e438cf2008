"""Billing's pages in the staff's admin, one module for each part of billing; Django finds them here."""

from billing.admin import (
    customers,
    failures,
    incidents,
    invoices,
    invoices_acts,
    invoices_forms,
    licence_filters,
    licences,
    plans,
    sla,
    sla_ledgers,
    subscription_filters,
    subscriptions,
    usage,
)

__all__ = [
    "customers",
    "failures",
    "incidents",
    "invoices",
    "invoices_acts",
    "invoices_forms",
    "licence_filters",
    "licences",
    "plans",
    "sla",
    "sla_ledgers",
    "subscription_filters",
    "subscriptions",
    "usage",
]
