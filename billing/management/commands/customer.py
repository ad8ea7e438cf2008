"""`manage.py customer add | list | suspend | resume`."""

from typing import Any, Final

from billing import customers
from tenants import selectors
from tenants.management import rows
from tenants.management.subcommands import Option, SubcommandsCommand, subcommand
from tenants.models import Customer

_SLUG: Final = Option("--slug", "the customer's slug", required=True)


class Command(SubcommandsCommand):
    """Customers."""

    help = "Add, list, suspend and resume customers."

    @subcommand(
        "Add a customer; the same again changes nothing.",
        Option("--name", "what people call it", required=True),
        Option("--offer", "what was agreed on", required=True, choices=Customer.Offer.values),
        Option("--slug", "its name in commands and addresses (default: made of the name)"),
    )
    def add(self, *, name: str, offer: str, slug: str) -> dict[str, Any]:
        """Print the customer."""
        row, changed = customers.add(name=name, offer=offer, slug=slug)
        return {**rows.customer(row), "changed": changed}

    @subcommand("List all customers.")
    def list_(self) -> list[dict[str, Any]]:
        """Print them."""
        return [rows.customer(row) for row in Customer.objects.select_related("entitlement")]

    @subcommand("Refuse every push of a customer from now on.", _SLUG)
    def suspend(self, *, slug: str) -> dict[str, Any]:
        """Print the customer."""
        row, changed = customers.suspend(customer=selectors.customer(slug))
        return {**rows.customer(row), "changed": changed}

    @subcommand("Serve a suspended customer again.", _SLUG)
    def resume(self, *, slug: str) -> dict[str, Any]:
        """Print the customer."""
        row, changed = customers.resume(customer=selectors.customer(slug))
        return {**rows.customer(row), "changed": changed}
