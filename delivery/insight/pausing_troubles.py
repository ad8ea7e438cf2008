"""Troubles of apps whose provider gives no answers, so that pushes with their credential are held back."""

from collections.abc import Iterator

from django.urls import reverse

from delivery.insight import pausing
from delivery.insight.providers import name_of
from delivery.insight.trouble import Severity, Trouble
from tenants.inventory import Inventory
from tenants.models import Customer, PushApp


def of_breakers(customer: Customer, inventory: Inventory, app: PushApp | None = None) -> Iterator[Trouble]:
    """The open circuit breakers of the customer's apps and of the shared ones it may use, or of one app."""
    paused = pausing.of_apps()
    if not paused:
        return
    for row in [app] if app is not None else [*inventory.enabled_apps, *inventory.shared_apps]:
        found = paused.get(row.pk)
        if found is None:
            continue
        name, own = name_of(row.family), row.customer_id is not None
        held = f": {found.held:,} so far" if own and found.held else ""
        yield Trouble(
            "credential_paused",
            Severity.FAILING,
            f"{name} ({found.host}) {pausing.why(found)}, so that we have held back pushes to {row.label}",
            pausing.since(found),
            "The pushes are sent as soon as it answers: a few find out every few seconds whether it does. Tests fail"
            " meanwhile. Nothing is to be done about the credential.",
            reverse("app", args=(customer.slug, row.pk)) if own else reverse("providers", args=(customer.slug,)),
            "See the app" if own else f"See how {name} stands",
            "provider",
            row.family,
            app_id=row.pk,
            more=held,
        )
