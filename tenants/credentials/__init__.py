"""Providers' credentials: reading uploaded files, sealing what they hold, expiry, and e-mail about them."""
