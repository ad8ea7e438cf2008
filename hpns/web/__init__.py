"""The web process: the server that supervises its processes, graceful draining, TLS certificates, and the bridge to
Django's pages.
"""
