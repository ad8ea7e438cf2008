"""A test push that is waited for: its page holds no transaction meanwhile, and is told the answer."""

import asyncio
import threading
from collections.abc import Iterator

import psycopg
import pytest
import redis
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from pytest_django import Settings

from delivery.ingest import trial_push
from delivery.ingest.outbox import Outbox
from tenants import services
from tenants.credentials import uploads
from tenants.directory.live import DIRECTORY
from tenants.models import Customer
from tenants.problem import ProblemError
from tests.browsing import Browser
from tests.waiting import PATIENCE, wait_for


@pytest.fixture
def outbox(valkey: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outbox]:
    """A connected outbox on a loop of its own, registered for test pushes. Nobody takes what is in its queue."""
    settings.CELERY_BROKER_URL = settings.REDIS_URL
    settings.PUSH_DEADLINE = 2.0
    monkeypatch.setattr(trial_push, "_registered", [])
    loop, made = asyncio.new_event_loop(), []
    begun, done = threading.Event(), asyncio.Event()

    async def run() -> None:
        outbox = Outbox("pages")
        outbox.start()
        while not outbox.ready:
            await asyncio.sleep(0.01)
        trial_push.register(outbox)
        made.append(outbox)
        begun.set()
        await done.wait()
        await outbox.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    try:
        assert begun.wait(PATIENCE)
        yield made[0]
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join(PATIENCE)
        loop.close()


@pytest.mark.django_db(transaction=True)
def test_no_transaction_waits_with_a_test_push(ada: Browser, customer: Customer, outbox: Outbox) -> None:
    chat = services.server_add(customer=customer, name="chat.acme.example").row
    services.key_add(server=chat)
    app = services.app_add(label="apple_rn", topic="com.acme.chat", customer=customer).row
    DIRECTORY.load()
    given = {"server": str(chat.public_id), "app": str(app.pk), "target": "pasted", "device_id": "ab" * 32}
    answers: list[int] = []

    def post() -> None:
        answers.append(ada.post("/c/acme/test/", given).status_code)
        connection.close()

    poster = threading.Thread(target=post)
    poster.start()
    wait_for(lambda: outbox.responses.waiting, PATIENCE, "the push waits for its answer")
    assert transactions() == 0
    assert not answers
    poster.join(PATIENCE)
    assert answers == [302]


def transactions() -> int:
    """How many transactions are open and idle in this test's database."""
    parameters = connection.get_connection_params()
    where = {name: parameters[name] for name in ("host", "port", "user", "password", "dbname") if name in parameters}
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND state LIKE 'idle in transaction%%'"
    with psycopg.connect(**where, autocommit=True) as looking:
        (count,) = looking.execute(query, (where["dbname"],)).fetchone() or (0,)
    return int(count)


@pytest.mark.django_db(transaction=True)
def test_no_transaction_waits_with_a_file_that_takes_long_to_open(
    ada: Browser, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = services.app_add(label="apple_rn", topic="com.acme.chat", customer=customer).row
    seen: list[int] = []

    def parse(*_: object, **__: object) -> None:
        seen.append(transactions())
        raise ProblemError("the password is wrong", field="password")

    monkeypatch.setattr(uploads, "parse", parse)
    file = SimpleUploadedFile("key.p12", b"x")
    said = ada.post(f"/c/acme/apps/{app.pk}/credentials/", {"file": file, "password": "x"})
    assert (seen, said.status_code, b"The password is wrong" in said.content) == ([0], 200, True)
