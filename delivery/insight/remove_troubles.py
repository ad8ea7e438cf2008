"""Troubles about removed devices: that none is, because too many would be at once."""

from collections.abc import Iterator

from django.urls import reverse

from delivery.insight.trouble import Severity, Trouble
from tenants.models import Customer, PushApp, RemoveHold


def of_removes(customer: Customer, app: PushApp | None = None) -> Iterator[Trouble]:
    """The holds on REMOVE of the customer's devices, or of those of one app."""
    rows = RemoveHold.objects.exclude(held_at=None).select_related("app").order_by("-held_at")
    for row in rows if app is None else rows.filter(app=app):
        own = row.app.customer_id is not None
        page = reverse("app", args=(customer.slug, row.app_id)) if own else reverse("apps", args=(customer.slug,))
        yield Trouble(
            "remove_held",
            Severity.WARNING,
            f"No device of {row.app.label} is removed, because {row.devices:,} of {row.tokens:,} would have been"
            " within ten minutes",
            row.held_at,
            f"Check that {row.app.label} has the right key, id and host: it ends by itself once fewer devices are"
            " refused. If they are really gone, an owner can let them be removed.",
            f"{page}#removes",
            "See the app",
            app_id=row.app_id,
            code=row.code,
            more=f" ({row.code})",
        )
