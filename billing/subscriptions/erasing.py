"""Deletes a customer's subscriptions with what is kept of them, when the customer is erased.

What was agreed on, and when, stays in the audit log as long as the law wants it kept.
"""

from typing import Final

from billing.models import LastStanding, Override, PlanChange, Subscription, SubscriptionMail
from tenants.fence import TenantModel
from tenants.models import Customer

# In this order, so that nothing points at what is gone.
ROWS: Final[tuple[tuple[type[TenantModel], str], ...]] = (
    (SubscriptionMail, "subscription__customer"),
    (LastStanding, "subscription__customer"),
    (PlanChange, "subscription__customer"),
    (Override, "subscription__customer"),
    (Subscription, "customer"),
)


def erase(customer: Customer) -> None:
    """Delete them; call it in the transaction of the erasure."""
    for model, lookup in ROWS:
        model.objects.filter(**{lookup: customer}).delete()
