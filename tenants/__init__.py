"""Tenants, who may push for which apps: customers, their servers and keys, mobile apps and the credentials for those.

Imports nothing of ours. Start at `models/` (what is kept), then `directory/` (what the path of a push reads instead
of the database) and `authentication.py` (the only file that knows where a key travels). Everything that changes a row
goes through `services/`, which tells the running processes about it.
"""
