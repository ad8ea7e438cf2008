"""The demo customer's subscription: EAS, paid, since the first of the month in which the demo was first started."""

from datetime import UTC

from django.utils import timezone

from billing.models import Subscription
from billing.subscriptions import changing, reading
from tenants.models import Customer


def seed(customer: Customer) -> None:
    """Start it where there is none; what was changed of it since stays."""
    if not Subscription.objects.filter(customer=customer).exists():
        now = timezone.now()
        first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        changing.start(customer=customer, version=reading.version("eas"), now=now, starts_at=first)
