"""The cast of the tests: Acme with its server, key and the apps of the recorded exchanges; Cleo's Cosmos, a stranger.

seed() runs inside the service's own environment (see stage.py) and returns what only this moment knows.
"""

import os
from pathlib import Path

from billing import customers
from delivery.sandbox import demo
from tenants import services
from tenants.providers import apple_files, google_files
from tests.settled import settle_credentials

# Label, topic (bundle id or package name), Apple's host: the apps that the reference was recorded with.
APPS = (
    ("apple", "com.mattermost.Mattermost", "production"),
    ("apple_rn", "com.mattermost.rn", "production"),
    ("apple_rnbeta", "com.mattermost.rnbeta", "sandbox"),
    ("android", "com.mattermost.mattermost", ""),
    ("android_rn", "com.mattermost.rn", ""),
)


def seed(folder: Path) -> dict[str, str]:
    """Make the cast's rows with the demo credentials in `folder`; returns the texts of the keys."""
    made = demo.make(folder, os.environ["GOOGLE_TOKEN_ORIGIN"])
    apple = apple_files.apple_key(made.apns_key.read_bytes(), key_id=demo.KEY_ID, team_id=demo.TEAM_ID)
    uris = [os.environ["GOOGLE_TOKEN_ORIGIN"] + "/token"]
    google = google_files.service_account(made.service_account.read_bytes(), token_uris=uris)
    acme = customers.add(name="Acme", offer="eas").row
    for label, topic, host in APPS:
        app = services.app_add(label=label, topic=topic, host=host, customer=acme).row
        services.credential_add(app=app, parsed=apple if app.family == "apns" else google)
    settle_credentials()
    server = services.server_add(customer=acme, name="chat.acme.example").row
    revoked = services.key_add(server=server, name="old")
    services.key_revoke(key=revoked.row)
    cosmos = customers.add(name="Cosmos", offer="eas").row
    stranger = services.key_add(server=services.server_add(customer=cosmos, name="chat.cosmos.example").row)
    return {"key": services.key_add(server=server).text, "revoked": revoked.text, "stranger": stranger.text}
