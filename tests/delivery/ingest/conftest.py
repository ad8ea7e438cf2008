"""What of one web process takes pushes."""

from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
import redis
from cryptography.hazmat.primitives.asymmetric import ec
from pytest_django import Settings

from delivery.ingest import own_delivery
from delivery.ingest.limits import Limits
from delivery.ingest.outbox import Outbox
from delivery.outcomes import judge
from delivery.providers.base import Target
from delivery.queue import valkey
from delivery.sandbox import demo
from delivery.worker.routes import Route, Routes
from tests.delivery.http2.rough_server import RoughServer
from tests.delivery.ingest.limiting import HASH_KEY
from tests.delivery.links import until
from tests.delivery.own_sender import Sender
from tests.delivery.web_process import SAVED


@pytest.fixture
def process(link: valkey.Link, settings: Settings) -> Limits:
    """One process."""
    return Limits(link, "one", HASH_KEY, settings.WAITING_LIMIT)


@pytest.fixture
async def outbox(valkey_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Outbox]:
    """A connected outbox that hands over rows of floods at once, and waits no second for them."""
    settings.REDIS_URL = settings.CELERY_BROKER_URL = valkey_url
    settings.PUSH_DEADLINE = 0.2
    settings.TEST_SERVICE = True
    monkeypatch.setattr("delivery.ingest.refusals.PAUSE", 0.02)
    made = Outbox()
    made.start()
    await until(lambda: made.ready)
    made.responses.synced = SAVED
    yield made
    await made.close()


@pytest.fixture
async def sender(
    store: redis.Redis, settings: Settings, valkey_url: str, rough: RoughServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Sender]:
    """A process that sends by itself and holds its lease."""
    settings.REDIS_URL = settings.CELERY_BROKER_URL = valkey_url
    settings.PROVIDER_CA_FILE, settings.HTTPS_PROXY, settings.NO_PROXY = rough.ca_file, "", ""
    rough.complete.clear()
    secret = {
        "key_pem": demo.private_pem(ec.generate_private_key(ec.SECP256R1())).decode(),
        "key_id": "K" * 10,
        "team_id": "T" * 10,
    }
    target = Target(1, "apns", "com.example.app", "", rough.origin, 1, "apns_key", secret)
    route = Route("apple_rn", 2, 1, False, target, None)
    nowhere = Route("apple_none", 2, None, False, None, judge.refusal("no_app"))
    monkeypatch.setattr(Routes, "_make", lambda _, customer, platform: nowhere if "none" in platform else route)
    monkeypatch.setattr(own_delivery, "DIRECTORY", SimpleNamespace(ready=True))
    made = Sender(store, rough)
    made.outbox.start()
    await until(lambda: made.outbox.ready and made.lease.is_valid())
    made.outbox.responses.synced = SAVED
    yield made
    settings.ATTEMPT_DEADLINE = 0.05  # nobody waits for the rest
    await made.outbox.close()
