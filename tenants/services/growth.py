"""Whether a customer may add servers, keys and apps: not as long as its subscription is restricted."""

from tenants.models import Entitlement
from tenants.problem import ProblemError


def check_may_grow(customer_id: int, what: str) -> None:
    """Raise ProblemError for a customer that may not add `what` ("servers", "keys", "apps") now."""
    if Entitlement.objects.filter(customer_id=customer_id, may_grow=False).exists():
        raise ProblemError(
            f"no {what} can be added while the subscription is past due or has ended: the subscription page says what "
            "is open. What there is stays as it is"
        )
