"""`manage.py server add | list | rename | networks | id-add | id-list | id-confirm | id-remove`."""

from typing import Any

from tenants import selectors, services
from tenants.management import rows
from tenants.management.subcommands import CUSTOMER, Option, SubcommandsCommand, subcommand
from tenants.models import Server

_SERVER = Option("--server", "the server's name or id", required=True)
_ID = Option("--server-id", "the server_id that its pushes carry", required=True)


class Command(SubcommandsCommand):
    """Mattermost installations."""

    help = "Add and list the Mattermost servers of customers, and what they are known by."

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
        found = Server.objects.filter(removed_at=None).select_related("customer")
        if customer:
            found = found.filter(customer=selectors.customer(customer))
        return [rows.server(row) for row in found]

    @subcommand("Give a server another name.", CUSTOMER, _SERVER, Option("--name", "the new name", required=True))
    def rename(self, *, customer: str, server: str, name: str) -> dict[str, Any]:
        """Print the server."""
        there = selectors.server(selectors.customer(customer), server)
        row, changed = services.server_rename(server=there, name=name)
        return {**rows.server(row), "changed": changed}

    @subcommand(
        "Take a server's keys from some networks alone.",
        CUSTOMER,
        _SERVER,
        Option("--to", "networks with commas between them, such as 192.0.2.0/24; empty: from anywhere"),
    )
    def networks(self, *, customer: str, server: str, to: str) -> dict[str, Any]:
        """Print the server."""
        there = selectors.server(selectors.customer(customer), server)
        row, changed = services.server_networks(server=there, networks=to.split(","))
        return {**rows.server(row), "changed": changed}

    @subcommand("Register a server_id as a server's, and confirm it.", CUSTOMER, _SERVER, _ID)
    def id_add(self, *, customer: str, server: str, server_id: str) -> dict[str, Any]:
        """Print the server."""
        there = selectors.server(selectors.customer(customer), server)
        _, changed = services.server_id_add(server=there, mattermost_id=server_id, confirmed=True)
        return {**rows.server(there), "changed": changed}

    @subcommand(
        "List server_ids, with when keys of the server, and of others, came with them.",
        Option("--customer", "only this customer's"),
        Option("--waiting", "only those that wait to be confirmed", kind="switch"),
    )
    def id_list(self, *, customer: str, waiting: bool) -> list[dict[str, Any]]:
        """Print them."""
        found = selectors.server_ids()
        if customer:
            found = found.filter(server__customer=selectors.customer(customer))
        if waiting:
            found = found.filter(confirmed_at=None)
        return [rows.server_id(row) for row in found]

    @subcommand("Confirm a server_id that a customer has registered: it is this server's.", CUSTOMER, _SERVER, _ID)
    def id_confirm(self, *, customer: str, server: str, server_id: str) -> dict[str, Any]:
        """Print the server."""
        there = selectors.server(selectors.customer(customer), server)
        _, changed = services.server_id_confirm(server_id=selectors.server_id(there, server_id))
        return {**rows.server(there), "changed": changed}

    @subcommand("Forget a server_id.", CUSTOMER, _SERVER, _ID)
    def id_remove(self, *, customer: str, server: str, server_id: str) -> dict[str, Any]:
        """Print the server."""
        there = selectors.server(selectors.customer(customer), server)
        services.server_id_remove(server_id=selectors.server_id(there, server_id))
        return {**rows.server(there), "changed": True}
