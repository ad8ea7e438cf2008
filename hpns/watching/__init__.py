"""Monitoring endpoints: liveness, readiness and metrics of a web process."""
