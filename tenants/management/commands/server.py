"""`manage.py server add | list`."""

from typing import Any

from tenants import selectors, services
from tenants.management import rows
from tenants.management.subcommands import CUSTOMER, Option, SubcommandsCommand, subcommand
from tenants.models import Server


class Command(SubcommandsCommand):
    """Mattermost installations."""

    help = "Add and list the Mattermost servers of customers."

    @subcommand(
        "Add a server; the same again changes nothing.",
        CUSTOMER,
        Option("--name", "what people call it", required=True),
    )
    def add(self, *, customer: str, name: str) -> dict[str, Any]:
        """Print the server."""
        row, changed = services.server_add(customer=selectors.customer(customer), name=name)
        return {**rows.server(row), "changed": changed}

    @subcommand("List the servers of one customer, or all.", Option("--customer", "only this customer's"))
    def list_(self, *, customer: str) -> list[dict[str, Any]]:
        """Print them."""
        found = Server.objects.select_related("customer")
        if customer:
            found = found.filter(customer=selectors.customer(customer))
        return [rows.server(row) for row in found]
