"""Troubles that signatures tell: keys that leaked, copies of servers, signing keys that changed (tenants/proofs)."""

from collections.abc import Iterator
from datetime import datetime

from django.urls import reverse

from delivery.insight.trouble import Severity, Trouble
from tenants.models import Customer, Server
from tenants.proofs import findings
from tenants.proofs.words import told


def of_proofs(customer: Customer, now: datetime, server: Server | None = None) -> Iterator[Trouble]:
    """What was found of the customer's servers, or of one, and is not over."""
    for row in findings.latest(now) if server is None else findings.living(server, now)[: findings.LATEST]:
        words = told(row)
        yield Trouble(
            row.kind,
            Severity.FAILING if words.is_bad else Severity.WARNING,
            words.sentence,
            row.first_at,
            words.what_to_do,
            f"{reverse('server', args=(customer.slug, row.server.public_id))}#{'keys' if words.is_bad else 'identity'}",
            "See its keys" if words.is_bad else "See who it is",
        )
