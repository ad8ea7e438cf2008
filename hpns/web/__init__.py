"""The web process: the server that supervises its processes, graceful draining, TLS certificates. And the pages process,
with the proxy before it.
"""
