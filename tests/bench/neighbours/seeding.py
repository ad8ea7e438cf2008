"""The cast: a quiet customer that pays, a neighbour with agreed limits, whoever has a free key, and a large customer
whose limits no load reaches; with their people. The large one has a credential of its own for its own app.

SEED runs inside the measured service's own environment, by its own code.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec
import psycopg
from psycopg import sql

from hpns.local.problem import ProblemError
from tests.bench.service import ROOT, Service

RATE: Final = 50
"""Pushes a second that the neighbour may send; its burst is twice that."""
ROWS: Final = 50_000
"""Rows of the log that the neighbour has, so that what it takes along has some size."""
SEED: Final = """
import json, os, sys
from pathlib import Path
import django
django.setup()
from billing import customers, entitlements
from delivery.sandbox import demo
from tenants import services
from tenants.models import Membership
from tenants.providers import apple_files
from tests.people import browser, person

made = demo.make(Path(sys.argv[1]), os.environ["GOOGLE_TOKEN_ORIGIN"])
apple = apple_files.apple_key(made.apns_key.read_bytes(), key_id=demo.KEY_ID, team_id=demo.TEAM_ID)
shared = {}
for label, host in (("apple_rn", "production"), ("apple_rnbeta", "sandbox")):
    app = services.app_add(label=label, topic="com.mattermost.rn", host=host, customer=None).row
    services.credential_add(app=app, parsed=apple)
    shared[host] = app.pk
cast = {"far_app": shared["sandbox"]}
for name, offer in (("quiet", "hpns"), ("neighbour", "hpns"), ("free", "tpns"), ("large", "hpns")):
    row = customers.add(name=name, offer=offer).row
    server = services.server_add(customer=row, name=f"chat.{name}.example").row
    ada = person(name)
    Membership.objects.create(user=ada, customer=row, role="owner")
    own = services.app_add(label="apple_own", topic="com.example.own", host="sandbox", customer=row).row
    cast[name] = {
        "key": services.key_add(server=server).text, "pk": row.pk, "slug": row.slug, "app": own.pk,
        "server": str(server.public_id), "session": browser(ada).cookies["sessionid"].value,
    }
    if name == "neighbour":
        rate = int(sys.argv[2])
        entitlements.change(customer=row, rate=rate, burst=2 * rate, server_rate=rate, server_burst=2 * rate)
    if name == "large":
        services.credential_add(app=own, parsed=apple)
        limits = ("rate", "burst", "in_flight", "server_rate", "server_burst", "server_in_flight")
        entitlements.change(customer=row, **dict.fromkeys(limits))
print(json.dumps(cast))
"""


class Somebody(msgspec.Struct, frozen=True):
    """A customer: a server's key, ids for addresses (slug, an app of its own, the server), and its owner's session."""

    key: str
    pk: int
    slug: str
    app: int
    server: str
    session: str


class Cast(msgspec.Struct, frozen=True):
    """Who there is; far_app is the shared app whose provider is far away."""

    quiet: Somebody
    neighbour: Somebody
    free: Somebody
    large: Somebody
    far_app: int


def seed(service: Service, folder: Path) -> Cast:
    """Make the cast. Raises ProblemError."""
    env = {**service.settings, "DJANGO_SETTINGS_MODULE": "hpns.settings", "PYTHONPATH": f"{service.root}:{ROOT}"}
    command = [sys.executable, "-c", SEED, str(folder), str(RATE)]
    done = subprocess.run(command, env=env, cwd=service.root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ProblemError(f"The cast could not be made: {done.stderr[-1500:]}")
    return msgspec.convert(json.loads(done.stdout.splitlines()[-1]), Cast)


def multiply_rows(service: Service, customer: int) -> int:
    """Make ROWS rows of a customer's log out of one that it has; how many there are now. Raises psycopg's errors."""
    columns = "SELECT attname FROM pg_attribute WHERE attrelid = 'delivery_delivery'::regclass AND attnum > 0 "
    with psycopg.connect(service.settings["DATABASE_URL"]) as connection:
        names = [name for (name,) in connection.execute(columns + "AND NOT attisdropped AND attname <> 'trace'")]
        listed = sql.SQL(", ").join(map(sql.Identifier, names))
        copied = sql.SQL(
            "INSERT INTO delivery_delivery (trace, {0}) SELECT 'bench-' || n, {0} FROM "
            "(SELECT * FROM delivery_delivery WHERE customer_id = %s LIMIT 1) one, generate_series(1, %s) n"
        )
        return connection.execute(copied.format(listed), (customer, ROWS)).rowcount
