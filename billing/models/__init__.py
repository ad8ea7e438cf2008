"""The tables of billing, a module for each part; all are behind both fences (tenants/scope.py, row-level security)."""

from billing.models.licences import LicenceCase, LicenceProof

__all__ = ["LicenceCase", "LicenceProof"]
