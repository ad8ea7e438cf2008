"""The owner of the app that a command names: a customer, or the operator."""

from tenants import selectors
from tenants.models import Customer
from tenants.problem import ProblemError


def owner(customer: str, shared: bool) -> Customer | None:
    """The customer of this slug, None for the operator's shared apps. Raises ProblemError for both or neither."""
    if bool(customer) == shared:
        raise ProblemError("say whose app it is: either --customer SLUG or --shared")
    return selectors.customer(customer) if customer else None
