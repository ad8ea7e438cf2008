"""The demo's canary: the service's own customer, with apps for the sandbox, whose phones CANARY_DEVICES names."""

from pathlib import Path

from billing.incidents import canary
from hpns.local.demo import APPS, parsed
from tenants import services


def seed(credentials: list[Path]) -> None:
    """Make what is missing; `credentials` are the sandbox's APNs key and service account, if there is a sandbox."""
    server, _ = canary.setup(offer="eas")
    if not credentials:
        return
    apple, google = parsed(*credentials)
    for label, topic, host in APPS:
        if label in ("apple_rn", "android_rn"):
            app = services.app_add(label=label, topic=topic, host=host, customer=server.customer).row
            services.credential_add(app=app, parsed=apple if app.family == "apns" else google)
