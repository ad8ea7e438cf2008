"""Monitoring endpoints: the metrics page and the readiness of a web process."""
