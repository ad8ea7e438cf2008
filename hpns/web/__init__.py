"""The web process: the server that supervises its processes, graceful draining, TLS certificates; and what makes pages:
the pages process, and the proxy before it.
"""
