"""Troubles of a provider that refuses the credentials of many customers: nothing is to be done about one's own."""

from collections.abc import Iterator
from datetime import UTC, datetime

from django.urls import reverse

from delivery.insight import refusing
from delivery.insight.providers import name_of
from delivery.insight.trouble import Severity, Trouble
from tenants.inventory import Inventory
from tenants.models import Customer, PushApp


def of_providers(customer: Customer, inventory: Inventory, app: PushApp | None = None) -> Iterator[Trouble]:
    """The incidents of the providers of the customer's apps, or of one app's."""
    for incident in refusing.incidents():
        apps = [app] if app is not None else [*inventory.apps, *inventory.shared_apps]
        if incident.family in {each.family for each in apps}:
            name = name_of(incident.family)
            yield Trouble(
                "provider_refuses",
                Severity.FAILING,
                f"{name} refuses the credentials of many customers at once",
                datetime.fromtimestamp(incident.since, UTC),
                "Yours are not marked as refused for it: leave them as they are.",
                reverse("providers", args=(customer.slug,)),
                f"See how {name} stands",
                "provider",
                incident.family,
            )
