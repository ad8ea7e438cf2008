"""Credentials that are refused in a web process, which writes nothing to the database: a worker hears of them."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis
from django.db import connections
from pytest_django import Settings

from delivery.queue import valkey as queue
from delivery.worker import credential_reports, dispatch, log_writer
from delivery.worker.credential_reports import ForwardingReporter, Report, Reporter
from delivery.worker.dispatch import Dispatcher
from delivery.worker.log_writer import LogWriter
from tenants.supervision import supervise
from tests.delivery.links import disconnect, links, until
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)
REFUSED, REPLACED = Report(1, 2, "apns_invalid_provider_token"), Report(3, 4, "fcm_sender_id_mismatch", 5)


@pytest.fixture(autouse=True)
async def _leave_the_database() -> AsyncIterator[None]:
    yield
    await asyncio.wait_for(log_writer._EXECUTOR.run(connections.close_all), PATIENCE)


async def forwarded(link: queue.Link, store: redis.Redis, *reports: Report) -> None:
    """Report them in a web process, until they are handed over."""
    reporter = ForwardingReporter(asyncio.get_running_loop(), link)
    task = supervise("reports", reporter.run)
    for report in reports:
        reporter.report(report)
    await until(lambda: store.llen(credential_reports.REPORTED) == len(reports))
    task.cancel()


async def test_whichever_worker_writes_the_log_next_takes_the_reports_on(
    valkey: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Dispatcher()
    worker.reporter, worker.started = Reporter(asyncio.get_running_loop()), True
    monkeypatch.setattr(dispatch, "_here", worker)
    async with links(settings.REDIS_URL, 1) as (link,):
        await forwarded(link, valkey, REFUSED, REPLACED)
    await LogWriter().write()
    assert list(worker.reporter._waiting.values()) == [REFUSED, REPLACED]
    assert not valkey.exists(credential_reports.REPORTED)


async def test_they_wait_while_no_worker_has_started(
    valkey: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch, "_here", Dispatcher())
    async with links(settings.REDIS_URL, 1) as (link,):
        await forwarded(link, valkey, REFUSED)
    await LogWriter().write()
    assert credential_reports.forwarded(valkey) == [REFUSED]


async def test_they_wait_in_the_web_process_while_valkey_is_away(
    valkey: redis.Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credential_reports, "PAUSE", 0.01)
    async with links(settings.REDIS_URL, 1) as (link,):
        disconnect(valkey)
        await until(lambda: not link.up)
        await forwarded(link, valkey, REFUSED)
        assert credential_reports.forwarded(valkey) == [REFUSED]
