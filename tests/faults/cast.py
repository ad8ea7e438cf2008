"""More of Acme's apps, each with a credential that is no good in its own way; and Hugo, who may use the shared apps.

seed() runs inside the service's own environment and returns what only this moment knows.
"""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from django.test.utils import override_settings

from billing import customers
from delivery.sandbox import demo
from tenants import services
from tenants.models import Customer, Server
from tenants.providers import apple_files, google_files
from tenants.providers.base import Parsed
from tests.settled import settle_credentials
from tests.tenants import files

SEED = """
import json, sys
from pathlib import Path
import django
django.setup()
from tests.faults.cast import seed
print(json.dumps(seed(Path(sys.argv[1]))))
"""
GONE_KEY = "gone:" + base64.urlsafe_b64encode(b"g" * 32).decode()
CERTIFIED = "com.example.certified"


def expired_certificate() -> bytes:
    """A push certificate that ran out yesterday, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    made = files.certificate(key, uid="com.example.lapsed", since=timedelta(-300), until=timedelta(-1), now=now)
    return files.certificate_pem(made, files.pem(key))


def seed(folder: Path) -> dict[str, str]:
    """Make the rows; `folder` holds demo/ (the demo credentials), lapsed.pem, good.pem and the .json accounts."""
    acme = Customer.objects.get(slug="acme")
    good = (folder / "demo" / f"AuthKey_{demo.KEY_ID}.p8").read_bytes()
    known = apple_files.apple_key(good, key_id=demo.KEY_ID, team_id=demo.TEAM_ID)
    strange = apple_files.apple_key(files.p8(), key_id="STRANGE123", team_id=demo.TEAM_ID)
    last_month = datetime.now(UTC) - timedelta(30)
    lapsed = apple_files.apple_certificate_pem((folder / "lapsed.pem").read_bytes(), now=last_month)
    certified = apple_files.apple_certificate_pem((folder / "good.pem").read_bytes())

    _app("apple_bare", "com.example.bare", None, acme)
    with override_settings(VAULT_KEYS=[GONE_KEY]):
        _app("apple_sealed", "com.mattermost.rn", known, acme)
    _app("apple_lapsed", "com.example.lapsed", lapsed, acme)
    _app("apple_foreign", "com.example.foreign", known, acme)
    _app("apple_strange", "com.mattermost.rn", strange, acme)
    for name in ("android_unlisted", "android_leaving", "android_quiet"):
        content = (folder / f"{name}.json").read_bytes()
        uri = str(json.loads(content)["token_uri"])
        _app(name, f"com.example.{name}", google_files.service_account(content, token_uris=[uri]), acme)
    _app("apple_certified", CERTIFIED, certified, acme)

    _app("apple_shared", "com.mattermost.rn", strange, None)
    settle_credentials()
    hugo = customers.add(name="Hugo", offer="hpns").row
    server = services.server_add(customer=hugo, name="chat.hugo.example").row
    spare = services.key_add(server=Server.objects.get(customer=acme))
    return {"hugo": services.key_add(server=server).text, "spare": spare.text, "spare_prefix": spare.row.prefix}


def _app(label: str, topic: str, parsed: Parsed | None, customer: Customer | None) -> None:
    app = services.app_add(label=label, topic=topic, customer=customer).row
    if parsed is not None:
        services.credential_add(app=app, parsed=parsed)
