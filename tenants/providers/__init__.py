"""The push providers as far as customers deal with them: platforms, hosts, credential kinds and uploaded files. Pure.

One file for each provider (apns.py, fcm.py) and its readers, behind one table (table.py). How a push is sent to one
stands in delivery/providers.
"""
