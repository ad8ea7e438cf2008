"""Who: customers, their servers and keys, the apps they may push to and the credentials of those apps.

Imports nothing of ours. Start with directory.py, the read model of the hot path, and services.py, its writer.
"""
