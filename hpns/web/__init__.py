"""The web process: the server above its processes, how one drains, TLS certificates, and the bridge to Django's
pages.
"""
