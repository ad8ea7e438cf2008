"""News reaches a running process, and no outage stops it for good."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable

import pytest
import redis
from django.conf import settings
from django.db import connections

from delivery.queue import directory_stamp
from delivery.queue import valkey as queue
from tenants import services, supervision
from tenants.directory import following, version_stamp
from tenants.directory.live import Directory
from tenants.models import ServerKey
from tenants.supervision import supervise
from tests.tenants.conftest import Acme
from tests.tenants.relay import Relay
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)

HEARD = 12.0
"""Seconds until a busy machine has heard of a change: told, it comes at once, and by the stamp within POLL_INTERVAL;
otherwise not before the table is read again, after 48 s or more."""


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rhythm, five times as fast."""
    for name in ("POLL_INTERVAL", "RETRY_INTERVAL", "LOAD_TIMEOUT"):
        monkeypatch.setattr(following, name, getattr(following, name) / 5)
    monkeypatch.setattr(supervision, "BACKOFF_MIN", 0.1)


@contextlib.asynccontextmanager
async def kept_fresh(*directories: Directory) -> AsyncIterator[None]:
    tasks = [supervise(f"follower {number}", directory.follow) for number, directory in enumerate(directories)]
    try:
        yield
    finally:
        for task in tasks:
            assert not task.done(), task
            task.cancel()
        _, running = await asyncio.wait(tasks, timeout=PATIENCE)
        assert not running, "a follower that was cancelled goes on"


async def until(true: Callable[[], bool], within: float) -> None:
    """Wait for it; fails after so many seconds."""
    started = time.monotonic()
    while not true():
        assert time.monotonic() - started < within, "it did not happen in time"
        await asyncio.sleep(0.01)


def refused(directory: Directory, acme: Acme) -> bool:
    identity = directory.find(acme.key.prefix)
    return identity is not None and identity.rejection_code == "revoked_key"


async def blocking(work: Callable[[], object]) -> None:
    """Run it in a thread, on a connection of its own."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    await asyncio.to_thread(run)


async def revoke(acme: Acme) -> None:
    await blocking(lambda: services.key_revoke(key=acme.key))


async def revoke_silently(acme: Acme) -> None:
    revoked = ServerKey.objects.filter(pk=acme.key.pk)
    await blocking(lambda: revoked.update(revoked_at="2026-01-01T00:00:00Z"))


async def test_a_revoked_key_is_refused_in_all_processes_within_two_seconds(acme: Acme) -> None:
    assert following.POLL_INTERVAL < 2
    directories = [Directory() for _ in range(4)]
    async with kept_fresh(*directories):
        await until(lambda: all(directory.ready for directory in directories), 60)
        await revoke(acme)
        await until(lambda: all(refused(directory, acme) for directory in directories), HEARD)


async def test_the_stamp_alone_is_enough_when_no_message_arrives(acme: Acme, valkey: redis.Redis) -> None:
    directory = Directory()
    async with kept_fresh(directory):
        await until(lambda: directory.ready, 60)
        await asyncio.sleep(0.2)
        await revoke_silently(acme)
        valkey.set(version_stamp.VERSION_KEY, directory.version + 1)  # without a message
        await until(lambda: refused(directory, acme), HEARD)


async def test_the_stamp_is_read_by_a_process_s_own_connection_and_missed_when_that_breaks(
    acme: Acme, valkey: redis.Redis
) -> None:
    link = queue.Link(settings.REDIS_URL)
    await link.start()
    directory = Directory()
    task = supervise("the follower", lambda: directory.follow(directory_stamp.reader(link)))
    await until(lambda: directory.ready, 60)
    asked = valkey.info("commandstats")["cmdstat_get"]["calls"]
    await until(lambda: valkey.info("commandstats")["cmdstat_get"]["calls"] > asked, HEARD)
    await revoke_silently(acme)
    valkey.set(version_stamp.VERSION_KEY, directory.version + 1)  # without a message
    await until(lambda: refused(directory, acme), HEARD)
    link.close()
    await until(lambda: "Valkey cannot be reached" in directory.problem, HEARD)
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.usefixtures("hurried")
async def test_a_change_that_nobody_told_is_found_by_reading_again(acme: Acme, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "RELOAD_INTERVAL", 0.3)
    directory = Directory()
    async with kept_fresh(directory):
        await until(lambda: directory.ready, 60)
        await revoke_silently(acme)
        await until(lambda: refused(directory, acme), PATIENCE)


@pytest.mark.usefixtures("hurried")
async def test_nothing_is_read_while_nothing_changes(acme: Acme) -> None:
    directory = Directory()
    async with kept_fresh(directory):
        await until(lambda: directory.ready, 60)
        await asyncio.sleep(0.1)
        installed, fresh_at = directory.installed, directory.fresh_at
        await asyncio.sleep(0.6)
        assert directory.installed == installed
        assert directory.fresh_at > fresh_at + 0.3


@pytest.mark.usefixtures("hurried")
async def test_without_postgres_the_copy_serves_until_postgres_is_back(
    acme: Acme, postgres_relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="tenants")
    await blocking(Directory().load)
    postgres_relay.refuse()
    directory = Directory()
    async with kept_fresh(directory):
        await until(lambda: directory.ready, 60)
        assert directory.source == "copy"
        postgres_relay.serve()
        await until(lambda: directory.source == "postgres", PATIENCE)
        await until(lambda: "the directory is up to date" in caplog.text, PATIENCE)
        await revoke(acme)
        await until(lambda: refused(directory, acme), HEARD)
    assert "PostgreSQL cannot be read" in caplog.text


@pytest.mark.usefixtures("hurried")
async def test_without_both_it_is_not_ready_says_so_and_keeps_trying(
    acme: Acme, valkey_relay: Relay, postgres_relay: Relay, caplog: pytest.LogCaptureFixture
) -> None:
    postgres_relay.refuse()
    valkey_relay.refuse()
    directory = Directory()
    async with kept_fresh(directory):
        await until(lambda: "no server key can be recognised yet" in caplog.text, 60)
        assert not directory.ready
        assert "PostgreSQL" in directory.problem
        assert "Valkey" in directory.problem
        postgres_relay.serve()
        valkey_relay.serve()
        await until(lambda: directory.source == "postgres" and not directory.problem, PATIENCE)


async def test_a_follower_is_stopped_also_when_a_library_swallows_the_cancellation() -> None:
    async def step() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(PATIENCE)

    task = asyncio.create_task(following._run_forever(step))
    await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=PATIENCE)
    assert done
    assert task.cancelled()


async def test_a_follower_that_is_stopped_during_a_reading_does_not_trip_it(monkeypatch: pytest.MonkeyPatch) -> None:
    going, tripped = threading.Event(), []
    monkeypatch.setattr(threading, "excepthook", tripped.append)
    reading = following._in_daemon_thread(lambda: str(going.wait(10)))
    (thread,) = (one for one in threading.enumerate() if one.name == "directory")
    reading.cancel()
    await asyncio.sleep(0)
    going.set()
    await asyncio.to_thread(thread.join, 10)
    assert not thread.is_alive()
    assert not tripped


@pytest.mark.usefixtures("hurried")
async def test_a_postgres_that_never_answers_does_not_keep_the_copy_from_use(
    acme: Acme, postgres_relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LOAD_TIMEOUT", 0.3)
    await blocking(Directory().load)
    postgres_relay.hush()
    directory = Directory()
    async with kept_fresh(directory):
        await until(lambda: directory.ready, 60)
        assert directory.source == "copy"
        assert directory.problem == "PostgreSQL does not answer"
        await asyncio.sleep(0.8)
        hanging = [thread for thread in threading.enumerate() if thread.name == "directory"]
        assert len(hanging) <= 2, "one that hangs, and for a moment one that reads the copy"
        postgres_relay.refuse()
        postgres_relay.serve()
        await until(lambda: directory.source == "postgres", PATIENCE)


@pytest.mark.usefixtures("hurried")
async def test_postgres_going_away_in_mid_flight_changes_nothing(acme: Acme, postgres_relay: Relay) -> None:
    directory = Directory()
    async with kept_fresh(directory):
        await until(lambda: directory.ready, 60)
        postgres_relay.refuse()
        version_stamp.bump()
        await until(lambda: "PostgreSQL cannot be read" in directory.problem, PATIENCE)
        assert directory.find(acme.key.prefix) is not None
        assert directory.source == "postgres"


@pytest.mark.usefixtures("hurried")
async def test_a_change_made_while_valkey_was_away_is_noticed_when_it_is_back(acme: Acme, valkey_relay: Relay) -> None:
    directory = Directory()
    async with kept_fresh(directory):
        await until(lambda: directory.ready, 60)
        valkey_relay.refuse()
        await until(lambda: "Valkey cannot be reached" in directory.problem, PATIENCE)
        await revoke(acme)  # whose notification reaches nobody
        valkey_relay.serve()
        await until(lambda: refused(directory, acme) and not directory.problem, HEARD)


@pytest.mark.usefixtures("hurried")
async def test_a_fault_of_our_own_is_logged_and_does_not_end_it(
    acme: Acme, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    directory = Directory()
    with monkeypatch.context() as patched:
        patched.setattr(version_stamp, "as_number", lambda value: 1 / 0)
        async with kept_fresh(directory):
            await until(lambda: "follower 0 failed, to be restarted" in caplog.text, 60)
            assert supervision.failing(essential=True) == ["follower 0 (ZeroDivisionError)"]
            patched.undo()
            await until(lambda: directory.ready, 60)


@pytest.mark.usefixtures("hurried")
async def test_a_listener_that_fails_is_restarted_and_hears_of_changes_again(
    acme: Acme, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(following, "POLL_INTERVAL", 3600.0)  # the stamp is not looked at
    listen, faults = following._Follower.listen, [ZeroDivisionError()]

    async def fails_once(follower: following._Follower) -> None:
        if faults:
            raise faults.pop()
        await listen(follower)

    monkeypatch.setattr(following._Follower, "listen", fails_once)
    directory = Directory()
    async with kept_fresh(directory):
        await until(lambda: directory.ready, 60)
        await until(lambda: "the listener for changes of the directory failed, to be restarted" in caplog.text, 60)
        await until(lambda: redis.Redis.from_url(settings.REDIS_URL).pubsub_numsub(version_stamp.CHANNEL)[0][1], 60)
        await revoke(acme)
        await until(lambda: refused(directory, acme), 60)
