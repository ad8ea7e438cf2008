"""`manage.py key add | list | revoke`."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from tenants import selectors, services
from tenants.management import rows
from tenants.management.subcommands import CUSTOMER, Option, SubcommandsCommand, subcommand
from tenants.models import ServerKey


class Command(SubcommandsCommand):
    """Server keys."""

    help = "Make, list and revoke the keys that Mattermost servers carry."

    @subcommand(
        "Make another key for a server. Its text is printed now and never again.",
        CUSTOMER,
        Option("--server", "the server's name or id", required=True),
        Option("--name", "where the key will be used"),
        Option("--days", "let it expire after so many days (default: never)", kind="number"),
    )
    def add(self, *, customer: str, server: str, name: str, days: int | None) -> dict[str, Any]:
        """Print the key with its text."""
        there = selectors.server(selectors.customer(customer), server)
        expires_at = None if days is None else timezone.now() + timedelta(days=days)
        row, text = services.key_add(server=there, name=name, expires_at=expires_at)
        shown = {**rows.key(row), "key": text, "changed": True}
        if settings.PUBLIC_URL:  # the whole value for Mattermost's Push Notification Server setting
            shown["push_url"] = f"{settings.PUBLIC_URL.rstrip('/')}/t/{text}"
        return shown

    @subcommand("List the keys of one customer, or all.", Option("--customer", "only this customer's"))
    def list_(self, *, customer: str) -> list[dict[str, Any]]:
        """Print them, without their secrets, which nobody knows."""
        found = ServerKey.objects.select_related("server__customer")
        if customer:
            found = found.filter(server__customer=selectors.customer(customer))
        return [rows.key(row) for row in found]

    @subcommand(
        "Revoke a key for good: it is refused within two seconds.",
        Option("--prefix", "the 8 characters after hk_", required=True),
    )
    def revoke(self, *, prefix: str) -> dict[str, Any]:
        """Print the key."""
        row, changed = services.key_revoke(key=selectors.key(prefix))
        return {**rows.key(row), "changed": changed}
