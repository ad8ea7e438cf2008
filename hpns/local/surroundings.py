"""The environment of the demo's processes: what an operator would set, made up once and kept in the state folder.

Invariant: what the caller's environment sets already stays as it is, but for what the sandbox needs to be reached.
"""

import base64
import os
import secrets
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from hpns.local import demo_licences
from hpns.local.demo_names import SELLER
from hpns.local.folder import Folder, private

# What bin/run itself decides; written to the file for manage.py as well.
OURS = (
    *(
        "DATABASE_URL",
        "PAGES_DATABASE_URL",
        "WORKER_DATABASE_URL",
        "DIRECTORY_DATABASE_URL",
        "REDIS_URL",
        "REDIS_SOCKET",
        "SECRET_KEY",
        "VAULT_KEYS",
        "HASH_KEY",
        "ALLOWED_HOSTS",
        "METRICS_DIR",
        "STATUS_DIR",
        "CANARY_DEVICES",
        "LICENCE_KEYS",
        "LOG_FORMAT",
    ),
    *("PUBLIC_URL", "APNS_ORIGIN", "APNS_SANDBOX_ORIGIN", "FCM_ORIGIN", "GOOGLE_TOKEN_ORIGIN", "PROVIDER_CA_FILE"),
    *("SITE_PRIVATE_NETWORKS", "SITE_CA_FILE"),
    *("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy"),
    *("HPNS_EMBEDDED", "EMAIL_URL", "SELLER"),
)


def settings(folder: Folder, urls: Mapping[str, str], port: int) -> dict[str, str]:
    """The environment of the service's processes; `port` is the front door's."""

    def key() -> str:
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()

    defaults = {
        "SECRET_KEY": folder.secret("secret_key", lambda: secrets.token_urlsafe(50)),
        "VAULT_KEYS": folder.secret("vault_keys", lambda: f"k1:{key()}"),
        "HASH_KEY": folder.secret("hash_key", key),
        "ALLOWED_HOSTS": "127.0.0.1,localhost,[::1]",
        "PUBLIC_URL": f"{'https' if os.environ.get('TLS_CERT_FILE') else 'http'}://127.0.0.1:{port}",
        "METRICS_DIR": str(folder.path / "metrics"),
        "STATUS_DIR": str(folder.path / "status"),
        "PORT": str(port),
        "LICENCE_KEYS": str(demo_licences.issuers(folder.path)),
        # Files instead of a mail server. They hold links that open something: for nobody else's eyes.
        "EMAIL_URL": f"filemail:///{quote(str(mail(folder)))}",
        "SELLER": SELLER,
        "LOG_FORMAT": "plain",
        "PYTHONUNBUFFERED": "1",
    }
    demo_licences.write(folder.path, datetime.now(UTC))
    # The check for a deployment refuses the stores that we start ourselves.
    ours = any(not os.environ.get(name) for name in urls)
    return {**defaults, **os.environ, **urls, "HPNS_EMBEDDED": str(ours).lower()}


def mail(folder: Folder) -> Path:
    """The folder that e-mails are written to, closed to others."""
    path = folder.path / "mail"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def at_the_sandbox(environment: Mapping[str, str], port: int, ca_file: Path) -> dict[str, str]:
    """`environment` with both providers' origins at the sandbox on `port`, under the names of its certificate."""
    # Two names, so that one can see at the sandbox which of Apple's hosts a push was for.
    production, testing = f"https://127.0.0.1:{port}", f"https://localhost:{port}"
    return {
        **environment,
        "APNS_ORIGIN": production,
        "APNS_SANDBOX_ORIGIN": testing,
        "FCM_ORIGIN": production,
        "GOOGLE_TOKEN_ORIGIN": production,
        "PROVIDER_CA_FILE": str(ca_file),
        # Phones of the sandbox, which are nobody's.
        "CANARY_DEVICES": f"apple_rn-v2:{'ca' * 32},android_rn-v2:canary:{'Ca' * 60}",
        # The demo's Mattermost site is on this machine, too.
        "SITE_PRIVATE_NETWORKS": "127.0.0.0/8,::1/128",
        "SITE_CA_FILE": str(ca_file),
        # A proxy of this machine would look for the sandbox on itself.
        "HTTPS_PROXY": "",
        "https_proxy": "",
        "HTTP_PROXY": "",
        "http_proxy": "",
    }


def write(folder: Folder, environment: Mapping[str, str]) -> Path:
    """Write what we decided as lines for a shell, so that manage.py can be run beside the service; returns the path."""
    path = folder.path / "env"
    lines = [f"export {name}={shlex.quote(environment[name])}\n" for name in OURS if name in environment]
    private(path, "".join(lines))
    return path
