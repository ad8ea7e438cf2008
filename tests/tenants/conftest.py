"""What the tests of this app share: a Valkey database of their own, a relay that can be cut, customers, visitors."""

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest
import redis
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.db import connections
from pytest_django import Settings

from billing import customers
from tenants import services
from tenants.models import Credential, Customer, PushApp, Role, Server, ServerKey
from tenants.providers import apple_files
from tests.browsing import Browser, Tenant, member, staff, tenant
from tests.tenants.relay import Relay


class Acme(NamedTuple):
    """A customer of the shared app apple_rn, with one server, whose key's text is `text`."""

    customer: Customer
    server: Server
    key: ServerKey
    text: str
    app: PushApp
    credential: Credential
    secret: dict[str, str]


@pytest.fixture
def valkey_relay(valkey: redis.Redis, settings: Settings) -> Iterator[Relay]:
    """The road to Valkey; `valkey` itself keeps its own."""
    url = urlsplit(settings.REDIS_URL)
    relay = Relay(url.hostname or "", url.port or 6379)
    settings.REDIS_URL = url._replace(netloc=f":{url.password or ''}@127.0.0.1:{relay.port}").geturl()
    yield relay
    relay.refuse()


@pytest.fixture
def postgres_relay(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """The road to PostgreSQL for connections made from now on; the test's own connection keeps its own."""
    connection = connections["default"]
    connection.ensure_connection()
    values = connections.settings["default"]
    relay = Relay(values["HOST"], int(values["PORT"] or 5432))
    # Connections of other threads are made of these values; this thread's connection exists already.
    monkeypatch.setitem(values, "HOST", "127.0.0.1")
    monkeypatch.setitem(values, "PORT", str(relay.port))
    yield relay
    relay.serve()
    relay.refuse()


@pytest.fixture(scope="session")
def p8() -> bytes:
    """A private key as Apple hands one out."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.fixture
def acme(db: None, valkey: redis.Redis, p8: bytes) -> Acme:
    """The customer described above."""
    customer = customers.add(name="Acme", offer="hpns").row
    server = services.server_add(customer=customer, name="main").row
    key = services.key_add(server=server)
    app = services.app_add(label="apple_rn", topic="com.mattermost.rn").row
    parsed = apple_files.apple_key(p8, key_id="ABC123DEFG", team_id="TEAM123456")
    credential = services.credential_add(app=app, parsed=parsed).row
    return Acme(customer, server, key.row, key.text, app, credential, parsed.secret)


class Cast(NamedTuple):
    """Two customers, and browsers of Acme's owner and viewer and of the staff."""

    acme: Tenant
    cosmos: Tenant
    ada: Browser
    ben: Browser
    staff: Browser


@pytest.fixture
def cast(db: None) -> Cast:
    acme, cosmos = tenant("Acme"), tenant("Cosmos")
    ada = Browser().enter(member("ada", acme.customer, Role.OWNER))
    ben = Browser().enter(member("ben", acme.customer, Role.VIEWER))
    return Cast(acme, cosmos, ada, ben, Browser().enter(staff(), factor=True))
