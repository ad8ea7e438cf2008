"""Credentials as they are after their first minutes, in which no device is removed for what a provider says."""

from datetime import timedelta

from django.db.models import F
from django.utils import timezone

from tenants.changes import notify_of_anything
from tenants.models import Credential, RemoveHold


def settle_credentials() -> None:
    """Let all credentials have signed for an hour, and lift the fuses of those that customers have.

    Tests that share a service push to more devices that are gone than any customer has; what the fuse does has tests of
    its own, of credentials that are made for them.
    """
    Credential.objects.update(signs_since=F("created_at") - timedelta(hours=1))
    for row in Credential.objects.filter(app__customer__isnull=False).select_related("app"):
        RemoveHold.objects.get_or_create(
            customer_id=row.app.customer_id,
            credential=row,
            defaults={"app": row.app, "released_at": timezone.now(), "devices": 0, "tokens": 0, "code": ""},
        )
    notify_of_anything()
