"""Open circuit breakers of all processes: told in Valkey while they are open, and said on pages in plain words."""

import asyncio

import pytest
import redis
from django.utils import timezone

from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import ANSWERED, MAYBE, Attempt
from delivery.providers.base import Target
from delivery.queue import valkey
from delivery.worker import breaker_reports
from delivery.worker.breaker import FEWEST, PROBES, Breakers
from delivery.worker.breaker_reports import KEPT, KEY, MOST, STALE, BreakerReports, read
from tests.delivery.links import until

SILENT = Attempt("apns", "api.example", 0, TransportFault.TIMEOUT, MAYBE, 1.0, 4_000)
SENT = Attempt("apns", "api.example", 200, "", ANSWERED, 1.0, 5)


def target(credential: int = 1) -> Target:
    return Target(10 + credential, "apns", "com.example.app", "", "https://api.example", credential, "apns_key", {})


class Process:
    """A process that sends: its breakers, which tell of themselves."""

    def __init__(self, link: valkey.Link) -> None:
        loop = asyncio.get_running_loop()
        self.ahead = 0.0
        self.breakers = Breakers(lambda: loop.time() + self.ahead)
        self.reports = BreakerReports(self.breakers, link, loop)
        self.running = loop.create_task(self.reports.run())

    def fail(self, credential: int = 1) -> None:
        """Have the breaker of a credential open."""
        for number in range(FEWEST):
            self.breakers.on_attempt(target(credential), number, SILENT)

    def answer(self) -> None:
        """Have it close."""
        self.ahead += 60
        for number in range(PROBES):
            assert not self.breakers.wait(target(), number)
            self.breakers.on_attempt(target(), number, SENT)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker_reports, "INTERVAL", 0.02)


async def test_an_open_breaker_is_told_with_what_was_held_back_and_taken_back_when_it_closes(
    link: valkey.Link, store: redis.Redis, quick: None
) -> None:
    process = Process(link)
    process.fail()
    assert process.breakers.wait(target(), "message")
    assert process.breakers.wait(target(), "message", counts=False)  # the same once more
    await until(lambda: [each.held for each in read(store)] == [1])
    (paused,) = read(store)
    assert (paused.app_id, paused.credential_id, paused.host) == (11, 1, "api.example")
    assert (paused.reason, paused.processes, paused.is_probing) == (TransportFault.TIMEOUT, 1, False)
    assert paused.since <= paused.probe_at
    assert abs(paused.since - timezone.now().timestamp()) < 60
    await until(lambda: 0 < store.ttl(KEY) <= KEPT)
    process.answer()
    await until(lambda: not store.exists(KEY))
    process.fail()
    await until(lambda: read(store))


async def test_nothing_is_written_and_nothing_wakes_while_none_is_open(link: valkey.Link, store: redis.Redis) -> None:
    process = Process(link)
    process.breakers.on_attempt(target(), 1, SILENT)
    await asyncio.sleep(0)
    assert not process.reports._opened.is_set()
    await process.reports.withdraw()
    assert not store.exists(KEY)


async def test_several_processes_are_added_up_and_one_that_died_is_not_read_for_long(
    link: valkey.Link, store: redis.Redis, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    processes = [Process(link), Process(link)]
    for process in processes:
        process.fail()
        process.breakers.wait(target(), "message")
    await until(lambda: [(each.processes, each.held) for each in read(store)] == [(2, 2)])
    for process in processes:
        process.running.cancel()
    monkeypatch.setattr(breaker_reports, "STALE", -1.0)
    assert read(store) == []
    assert STALE < KEPT


async def test_what_one_process_tells_is_bounded(link: valkey.Link, store: redis.Redis, quick: None) -> None:
    process = Process(link)
    for credential in range(MOST + 20):
        process.fail(credential)
    await until(lambda: len(read(store)) == MOST)
