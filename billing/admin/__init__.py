"""Billing's pages in the staff's admin, one module for each part of billing; Django finds them here."""

from billing.admin import customers, licences

__all__ = ["customers", "licences"]
