"""`manage.py app add | list | enable | disable | default`."""

from typing import Any, Final

from tenants import selectors, services
from tenants.management import rows
from tenants.management.owner import owner
from tenants.management.subcommands import OWNER, Option, SubcommandsCommand, subcommand
from tenants.models import PushApp
from tenants.providers import table
from tenants.services import Changed

_LABEL: Final = Option("--label", "the app's label", required=True)


class Command(SubcommandsCommand):
    """Mobile apps."""

    help = "Add and list the mobile apps that can be pushed to; say which of them are."

    @subcommand(
        "Add an app; the same again changes nothing.",
        *OWNER,
        Option("--label", "the head of its pushes' platform: apple_rn, apple_rnbeta, android_rn", required=True),
        Option("--topic", "its bundle id (Apple) or package name (Android)", required=True),
        Option("--family", "default: by the label", choices=list(table.PROVIDERS)),
        Option("--host", "which of Apple's hosts; default: production", choices=list(table.HOSTS)),
        Option("--default", "also takes pushes of its family that no label matches", kind="switch"),
    )
    def add(
        self, *, customer: str, shared: bool, label: str, topic: str, family: str, host: str, default: bool
    ) -> dict[str, Any]:
        """Print the app."""
        row, changed = services.app_add(
            customer=owner(customer, shared), label=label, topic=topic, family=family, host=host, is_default=default
        )
        return {**rows.app(row), "changed": changed}

    @subcommand("List the apps of one customer, or all.", Option("--customer", "only this customer's own"))
    def list_(self, *, customer: str) -> list[dict[str, Any]]:
        """Print them."""
        found = PushApp.objects.filter(removed_at=None).select_related("customer")
        if customer:
            found = found.filter(customer=selectors.customer(customer))
        return [rows.app(row) for row in found]

    @subcommand("Let an app take pushes again.", *OWNER, _LABEL)
    def enable(self, *, customer: str, shared: bool, label: str) -> dict[str, Any]:
        """Print the app."""
        return _with_changed(services.app_enable(app=selectors.any_app(owner(customer, shared), label), enabled=True))

    @subcommand("Refuse every push of an app; its credentials stay.", *OWNER, _LABEL)
    def disable(self, *, customer: str, shared: bool, label: str) -> dict[str, Any]:
        """Print the app."""
        return _with_changed(services.app_enable(app=selectors.app(owner(customer, shared), label), enabled=False))

    @subcommand(
        "Let an app take the pushes of its family that no label matches.",
        *OWNER,
        _LABEL,
        Option("--off", "let it take those no longer", kind="switch"),
    )
    def default(self, *, customer: str, shared: bool, label: str, off: bool) -> dict[str, Any]:
        """Print the app."""
        return _with_changed(
            services.app_default(app=selectors.app(owner(customer, shared), label), is_default=not off)
        )


def _with_changed(result: Changed[PushApp]) -> dict[str, Any]:
    return {**rows.app(result.row), "changed": result.changed}
