"""The /metrics page."""

import hmac

from django.conf import settings
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest


def may_read(address: str, authorization: str) -> bool:
    """Whether a caller from `address` with this Authorization header may read the metrics."""
    token = settings.METRICS_TOKEN
    if token:
        return hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode())
    return address in ("127.0.0.1", "::1")


def render() -> tuple[bytes, str]:
    """The metrics in Prometheus's text format, and its content type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
