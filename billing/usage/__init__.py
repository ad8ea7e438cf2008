"""Usage: billable pushes, active devices, servers and seats by calendar month (UTC), closed months, and quotas.

Other parts read it through billing.usage.reading alone; what it needs of others comes in by billing/usage/sources.py.
"""
