"""The demo customer's subscription: EAS, paid, since the demo was first started."""

from django.utils import timezone

from billing.models import Subscription
from billing.subscriptions import changing, reading
from tenants.models import Customer


def seed(customer: Customer) -> None:
    """Start it where there is none; what was changed of it since stays."""
    if not Subscription.objects.filter(customer=customer).exists():
        changing.start(customer=customer, version=reading.version("eas"), now=timezone.now())
