"""Subscriptions, invoices and licences as plain values, for tests of what follows from them."""

import importlib
from datetime import UTC, datetime, timedelta
from typing import Any

from django.apps import apps

from billing.facts import Basis, OpenInvoice, Proof, Subscribed, Terms

START = datetime(2026, 1, 15, tzinfo=UTC)
DAY = timedelta(days=1)
TERMS = Terms("hpns", 1, "hpns", "EUR", 49_900, 1, 1_000, None, None, 40, sla=True)


def seed() -> None:
    """The plans of the migration: a test that needs transactions of its own empties their tables, too."""
    importlib.import_module("billing.migrations.0003_subscriptions").seed(apps, None)


def subscribed(basis: Basis = Basis.PAID, **more: Any) -> Subscribed:
    """A subscription since START."""
    given: dict[str, Any] = {
        "id": 7,
        "customer_id": 1,
        "basis": basis,
        "terms": TERMS,
        "starts_at": START,
        "trial_ends_at": START + 30 * DAY if basis is Basis.TRIAL else None,
        "cancel_at": None,
        "override_until": None,
    }
    return Subscribed(**{**given, **more})


def invoice(due_at: datetime, subscription_id: int | None = 7, open_minor: int = 49_900) -> OpenInvoice:
    """An open one."""
    return OpenInvoice("2026-0001", subscription_id, due_at, open_minor, "EUR")


def proof(starts_at: datetime, expires_at: datetime, customer_id: int = 1) -> Proof:
    """A licence."""
    return Proof(3, customer_id, None, "issuer", "x" * 26, "enterprise", 500, starts_at, expires_at, vouched=False)
