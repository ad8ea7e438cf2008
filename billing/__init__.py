"""Money, metering and promises: subscriptions, usage, the SLA. Sole writer of tenants.Entitlement once plans exist.

May import delivery.selectors and tenants.
"""
