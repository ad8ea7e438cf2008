"""The tables of billing, a module for each part; all are behind both fences (tenants/scope.py, row-level security)."""

from billing.models.invoices import (
    BillingProfile,
    DocumentKind,
    Invoice,
    InvoiceCounter,
    InvoiceDraft,
    InvoiceFile,
    InvoiceMail,
    LedgerEntry,
)

__all__ = [
    "BillingProfile",
    "DocumentKind",
    "Invoice",
    "InvoiceCounter",
    "InvoiceDraft",
    "InvoiceFile",
    "InvoiceMail",
    "LedgerEntry",
]
