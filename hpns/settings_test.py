"""The settings of the test suite: the real ones, with secrets made up on the spot and a quick password hash."""

import base64
import os
from urllib.parse import urlsplit

os.environ.setdefault("READ_DOT_ENV", "false")
os.environ.setdefault("SECRET_KEY", "tests-only-" + "x" * 50)
os.environ.setdefault("VAULT_KEYS", "t1:" + base64.urlsafe_b64encode(b"v" * 32).decode())
os.environ.setdefault("HASH_KEY", base64.urlsafe_b64encode(b"h" * 32).decode())
os.environ.setdefault("ALLOWED_HOSTS", "127.0.0.1,localhost,testserver")
os.environ.setdefault("LOG_FORMAT", "plain")

# One connection, the superuser's of the stores for tests. Tests of the fences take on the other roles (tests/roles.py).
os.environ["PAGES_DATABASE_URL"] = os.environ["WORKER_DATABASE_URL"] = os.environ["DIRECTORY_DATABASE_URL"] = ""

from hpns import settings as real
from hpns.settings import *

# Tests that need transactions of their own empty all tables, the audit log too.
DATABASES["default"]["OPTIONS"]["options"] = "-c hpns.erasure=on"

# Tests name other servers in REDIS_URL, or a relay before it: they shall be reached as they are named.
REDIS_SOCKET = ""

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def cache_url(number: int) -> str:
    """A database of Valkey for the test process `number`, which the fixture `valkey` empties."""
    return urlsplit(real.REDIS_URL)._replace(path=f"/{8 + number % 8}").geturl()


CACHES = {
    "default": {
        **real.CACHES["default"],
        "LOCATION": cache_url(int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))),
    }
}
