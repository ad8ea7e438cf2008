"""Money, metering and promises: offers, and what each customer is entitled to. Sole writer of tenants.Entitlement.

May import delivery.selectors and tenants.
"""
