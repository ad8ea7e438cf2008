"""The tables of billing, a module for each part; all are behind both fences (tenants/scope.py, row-level security)."""

from billing.models.subscriptions import (
    LastStanding,
    Override,
    Plan,
    PlanChange,
    PlanVersion,
    Subscription,
    SubscriptionMail,
)

__all__ = ["LastStanding", "Override", "Plan", "PlanChange", "PlanVersion", "Subscription", "SubscriptionMail"]
