"""The demo's rows: a customer with two servers and their keys, the apps of Mattermost's own builds, and staff.

Invariants: seeding twice changes nothing. The key's text and the staff password are in the state folder, readable by
its owner alone; the database knows their hashes, as with every other key. Nothing of this exists without `bin/run`.
"""

import os
import secrets
import time
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import F
from django.utils import timezone

from billing import customers
from billing.licences import proving
from delivery.sandbox import demo
from hpns.local import demo_invoices, demo_licences, demo_subscription
from hpns.local.account import for_servers
from hpns.local.demo_names import CUSTOMER, KEY, NEIGHBOUR, OWN_KEY, OWN_SERVER, PASSWORD, SERVER, STAFF
from hpns.local.folder import Folder
from tenants import services
from tenants.keys import parse
from tenants.models import Credential, Membership, Role, Server, ServerKey
from tenants.problem import ProblemError
from tenants.proofs import sites
from tenants.providers import apple_files, google_files
from tenants.providers.base import Parsed

# Label, topic (bundle id or package name), Apple's host. No app is the default of its family.
APPS = (
    ("apple", "com.mattermost.Mattermost", "production"),
    ("apple_rn", "com.mattermost.rn", "production"),
    ("apple_rnbeta", "com.mattermost.rnbeta", "sandbox"),
    ("android", "com.mattermost.mattermost", ""),
    ("android_rn", "com.mattermost.rn", ""),
)

# For its site to begin to serve.
SITE_SECONDS = 20.0


def seed(path: Path, credentials: list[Path], site: str = "") -> None:
    """Make what is missing. `path` is the state folder; `credentials` are the sandbox's APNs key and service account,
    `site` is the address of the server's Mattermost site.

    Raises tenants' ProblemError when rows of the same names are there with other contents.
    """
    folder = Folder(path, for_servers())
    customer = customers.add(name=CUSTOMER, offer="eas").row
    demo_subscription.seed(customer)
    server = services.server_add(customer=customer, name=SERVER).row
    _key(folder, KEY, server)
    _key(folder, OWN_KEY, services.server_add(customer=customer, name=OWN_SERVER).row)
    staff = _staff(folder.secret(PASSWORD, lambda: secrets.token_urlsafe(12)))
    _neighbour(path)
    # So that one login shows both: the staff's pages, and a customer's with all that can be changed there.
    Membership.objects.get_or_create(user=staff, customer=customer, defaults={"role": Role.OWNER})
    demo_invoices.seed(customer)
    if credentials:
        apple, google = parsed(*credentials)
        for label, topic, host in APPS:
            app = services.app_add(label=label, topic=topic, host=host, customer=customer).row
            services.credential_add(app=app, parsed=apple if app.family == "apns" else google)
        # It is good, and whoever removes the app from the phone page wants to see that at once.
        signing = Credential.objects.filter(app__customer=customer)
        signing.update(signs_since=F("created_at") - timedelta(hours=1))
    if site:
        _read(server, site)


def _read(server: Server, site: str) -> None:
    """Fetch the documents of the server's site, which may be starting still. Raises ProblemError."""
    until = time.monotonic() + SITE_SECONDS
    while True:
        try:
            sites.fetch(server=server, address=site)
        except ProblemError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return


def _neighbour(path: Path) -> None:
    """Another customer, who has proven one of the demo's licences: to see that nobody else can."""
    if str(demo_licences.issuers(path)) == settings.LICENCE_KEYS:
        neighbour = customers.add(name=NEIGHBOUR, offer="hpns").row
        data = (demo_licences.folder(path) / demo_licences.ANOTHERS).read_bytes()
        proving.upload(customer=neighbour, data=data, now=timezone.now())


def _key(folder: Folder, name: str, server: Server) -> None:
    """Let the state folder have a key of this server under a name."""
    if not _is_valid(str(folder.read("secrets.json").get(name, "")), server):
        key = services.key_add(server=server, name="bin/run").text
        folder.write("secrets.json", {**folder.read("secrets.json"), name: key})


def _is_valid(key: str, server: Server) -> bool:
    """Whether this key of an earlier start is still one of this server's: the database may be another one."""
    parts = parse(key)
    return parts is not None and ServerKey.objects.filter(server=server, prefix=parts[0], revoked_at=None).exists()


def _staff(password: str) -> User:
    """A member of the staff with this password, who sets up a second factor at the first login."""
    user = services.staff_add(email=STAFF, name="Demo staff").row
    if not user.check_password(password):
        user.set_password(password)
        user.save()
    return user


def parsed(apns_key: Path, service_account: Path) -> tuple[Parsed, Parsed]:
    """The sandbox's credentials, read."""
    apple = apple_files.apple_key(apns_key.read_bytes(), key_id=demo.KEY_ID, team_id=demo.TEAM_ID)
    # The service account says where its tokens are to be had: at the sandbox, which is told to us by the same setting.
    tokens = [os.environ["GOOGLE_TOKEN_ORIGIN"] + "/token"]
    return apple, google_files.service_account(service_account.read_bytes(), token_uris=tokens)
