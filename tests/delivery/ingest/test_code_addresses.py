"""Whoever refuses a push, the text in its server's log ends with the address of the code's page."""

import asyncio
import json

import pytest
import redis
from pytest_django import Settings

from delivery.http2.engine import Engine
from delivery.ingest.api import Ack
from delivery.ingest.outbox import Outbox
from delivery.outcomes import judge
from delivery.protocol.wire import Push
from delivery.queue import valkey
from tenants.refusals import RevokedKey
from tests.delivery.ingest.test_api import Failing, fail_text, request
from tests.delivery.ingest.test_outbox import submit
from tests.delivery.web_process import ACME, error_of, proxies
from tests.delivery.worker.delivering import Pushes

PAGES = "https://push.example.com/codes"


@pytest.fixture(autouse=True)
def public(settings: Settings) -> None:
    """The service knows its own address."""
    settings.PUBLIC_URL = "https://push.example.com/"


async def test_what_is_refused_before_and_behind_the_door(outbox: Outbox) -> None:
    assert (await fail_text(Failing(outbox, RevokedKey()))).endswith(f" {PAGES}/revoked_key/")
    ack = json.loads(Ack(outbox, proxies()).handle(ACME, request()).content)
    assert ack["error"].endswith(f" {PAGES}/missing_ack_id/")
    turned_away = outbox.turn_away(ACME, Push(), 100, "missing_device_id")
    assert (await error_of(turned_away)).endswith(f") {PAGES}/missing_device_id/")


async def test_what_has_no_result_in_time(outbox: Outbox) -> None:
    answer = json.loads(await submit(outbox, type="test"))
    assert answer["error"].endswith(f") {PAGES}/late_test/")


async def test_what_a_worker_ends(link: valkey.Link, store: redis.Redis) -> None:
    engine = Engine(asyncio.get_running_loop(), "")
    pushes = Pushes(engine, "https://127.0.0.1:1", link, store)
    await pushes.refused(judge.refusal("no_app"))
    await engine.close()
    assert [text.endswith(f") {PAGES}/no_app/") for text in pushes.told()] == [True]
