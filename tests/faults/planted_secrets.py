"""A secret of each kind, put into a running service by its own API and pages: what test_dump.py looks for afterwards.

seed() runs inside the service's own environment and returns what only this moment knows.
"""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    yield_hotp_counters_from_time,
)
from allauth.mfa.utils import decrypt
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth.models import User
from django.test import Client
from django.test.utils import override_settings

from billing import customers
from delivery.sandbox import demo
from tenants import services
from tenants.models import Customer, Membership
from tenants.providers import apple_files, google_files
from tests.settled import settle_credentials
from tests.tenants import files

SEED = """
import json, sys
from pathlib import Path
import django
django.setup()
from tests.faults.planted_secrets import seed
print(json.dumps(seed(Path(sys.argv[1]))))
"""
PASSWORD = "wombats at the harbour of Ulm"
P12_PASSWORD = "the password of a p12 file"


def seed(folder: Path) -> dict[str, str]:
    """Make a customer with everything that has a secret; `folder` holds demo/. The secrets by what they are."""
    iris = customers.add(name="Iris", offer="eas").row
    server = services.server_add(customer=iris, name="chat.iris.example").row
    kept, revoked = services.key_add(server=server), services.key_add(server=server)
    services.key_revoke(key=revoked.row)
    found = {"key": kept.text, "a revoked key": revoked.text}
    found |= _credentials(iris, folder / "demo")
    settle_credentials()
    services.customer_content(customer=iris, content="generic")
    found |= _people(iris)
    return found


def _credentials(iris: Customer, folder: Path) -> dict[str, str]:
    """Of all three kinds, one of them waiting as the next."""
    p8 = (folder / f"AuthKey_{demo.KEY_ID}.p8").read_bytes()
    account = files.account()
    key = ec.generate_private_key(ec.SECP256R1())
    p12 = files.p12(P12_PASSWORD.encode(), files.certificate(key, now=datetime.now(UTC)), key)
    another = files.p8()
    apple = apple_files.apple_key(p8, key_id=demo.KEY_ID, team_id=demo.TEAM_ID)
    google = google_files.service_account(account)
    certificate = apple_files.apple_certificate_p12(p12, password=P12_PASSWORD)
    app = services.app_add(label="apple_rn", topic="com.mattermost.rn", customer=iris).row
    services.credential_add(app=app, parsed=apple)
    services.credential_add(
        app=app, parsed=apple_files.apple_key(another, key_id="NEXTNEXT12", team_id=demo.TEAM_ID), slot="next"
    )
    for label, topic, parsed in (("apple_cert", "com.example.app", certificate), ("android_rn", "com.iris", google)):
        made = services.app_add(label=label, topic=topic, customer=iris).row
        services.credential_add(app=made, parsed=parsed)
    return {
        "the p8 in use": p8.decode(),
        "the p8 that waits": another.decode(),
        "the key of the p12": files.pem(key).decode(),
        "the p12": base64.b64encode(p12).decode(),
        "the password of the p12": P12_PASSWORD,
        "the service account's key": json.loads(account)["private_key"],
    }


def _people(iris: Customer) -> dict[str, str]:
    """Ida has a second factor and logs in; Kim is setting hers up; somebody looks at an invitation."""
    ida, kim = (_person(name, iris) for name in ("ida", "kim"))
    secret = generate_totp_secret()
    TOTP.activate(ida, secret)
    RecoveryCodes.activate(ida)
    codes = Authenticator.objects.get(user=ida, type="recovery_codes")
    with override_settings(PUBLIC_URL="http://localhost"):
        link = services.invitation_add(
            customer=iris, email="joe@iris.example", role="viewer", by=services.OPERATOR
        ).link
    token = link.rstrip("/").rpartition("/")[2]
    guest = Client(SERVER_NAME="localhost")
    assert guest.get(f"/invitation/{token}/").status_code < 400
    browser = Client(SERVER_NAME="localhost")
    browser.post("/account/login/", {"login": ida.email, "password": PASSWORD})
    code = format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time())))
    answer = browser.post("/account/2fa/authenticate/", {"code": code})
    assert answer.status_code == 302, answer.content
    other = Client(SERVER_NAME="localhost")
    other.post("/account/login/", {"login": kim.email, "password": PASSWORD})
    assert other.get("/account/2fa/totp/activate/").status_code == 200
    return {
        "a password": PASSWORD,
        "the secret of a second factor": secret,
        "the secret of one that is being set up": other.session["mfa.totp.secret"],
        "the seed of recovery codes": decrypt(codes.data["seed"]),
        "the token of an invitation": token,
    }


def _person(name: str, iris: Customer) -> User:
    user = User.objects.create_user(name, f"{name}@iris.example", PASSWORD)
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    Membership.objects.create(user=user, customer=iris, role="owner")
    return user
