"""The demo's ledger of the SLA: a key that signs it, from the first start on."""

from django.utils import timezone

from billing.sla import keys


def seed() -> None:
    """Make the key, unless there is one."""
    if keys.first_made_at() is None:
        keys.new(now=timezone.now())
