"""What counts as saved on the queue's disk: against a model of how Valkey syncs its file, and against a real one."""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis
from pytest_django import Settings

from delivery.ingest import durability, intake
from delivery.ingest.durability import Look, SyncTracker
from delivery.ingest.outbox import Outbox
from hpns.local.account import for_servers
from hpns.local.folder import Folder
from hpns.local.process import Child
from hpns.local.valkey import Valkey
from tests.delivery.ingest.sync_model import Model
from tests.delivery.links import until
from tests.delivery.web_process import ACME, body, error_of
from tests.waiting import PATIENCE, wait_for


@pytest.mark.parametrize("slowest", [10, 300, 1200, 4000])
def test_nothing_counts_as_synced_that_is_not(slowest: int) -> None:
    known = 0
    for seed in range(60):
        chance = random.Random(seed)  # noqa: S311
        model, tracker = Model(), SyncTracker()
        for _ in range(200):
            disk = chance.randint(1, slowest)
            model.step(chance.choice((1, 10, 50, 250)), write=chance.random() < 0.3, disk=disk)
            if chance.random() < 0.6:
                synced = tracker.observe(model.look())
                model.step(0, write=False, disk=disk)  # the reply leaves at the end of the turn
                assert synced <= model.synced, (seed, model.now)
                known += synced > 0
    assert known > 10, "hardly anything counted as synced: this test shows nothing"


@pytest.mark.parametrize("disk", [1, 200])
def test_with_a_good_disk_all_is_known_to_be_synced_within_two_and_a_half_seconds(disk: int) -> None:
    model, tracker = Model(), SyncTracker()
    written_at: dict[int, int] = {}
    known_at: dict[int, int] = {}
    for _ in range(400):
        model.step(50, write=True, disk=disk)
        written_at[model.number] = model.now
        if model.now % 250 == 0:
            for number in range(1, tracker.observe(model.look()) + 1):
                known_at.setdefault(number, model.now)
    waits = [known_at[number] - at for number, at in written_at.items() if at < model.now - 3000]
    assert len(waits) > 300
    assert max(waits) <= 2500


def looked(**changes: Any) -> Look:
    """A look at a Valkey as it should be, but for these changes of INFO (_ for -) and of the policies."""
    policies = {b"appendfsync": b"everysec", b"no-appendfsync-on-rewrite": b"no", b"min-replicas-to-write": b"0"}
    info = {
        "run_id": "one",
        "server_time_usec": "1000000000",
        "aof_enabled": "1",
        "aof_last_write_status": "ok",
        "aof_pending_bio_fsync": "0",
        "aof_rewrite_in_progress": "0",
        "aof_rewrites": "0",
        "rdb_bgsave_in_progress": "0",
    }
    for name, value in changes.items():
        if (policy := name.replace("_", "-").encode()) in policies:
            policies[policy] = value.encode()
        else:
            info[name] = value
    text = "# Persistence\r\n" + "".join(f"{name}:{value}\r\n" for name, value in info.items())
    return durability.read(b"7", [part for pair in policies.items() for part in pair], text.encode())


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"aof_enabled": "0"}, "appendonly no"),
        ({"aof_last_write_status": "err"}, "a full disk?"),
        ({"appendfsync": "no"}, "appendfsync no"),
        ({"aof_rewrite_in_progress": "1", "no_appendfsync_on_rewrite": "yes"}, "no-appendfsync-on-rewrite yes"),
        ({"min_replicas_to_write": "1"}, "0 replicas follow it, of 1 that have to"),
        ({"connected_slaves": "1", "slave0": "ip=1.1.1.1,state=wait_bgsave,offset=0"}, "0 replicas follow it, of 1"),
        ({"role": "slave"}, "it is a replica"),
    ],
)
def test_a_valkey_that_saves_nothing_is_recognised(changes: dict[str, str], why: str) -> None:
    looks = [looked(server_time_usec=str(1_000_000_000 + n * 400_000), **changes) for n in range(10)]
    tracker = SyncTracker()
    assert [tracker.observe(look) for look in looks] == [0] * 10
    assert all(why in look.problem for look in looks)


@pytest.mark.parametrize(
    "changes",
    [
        {"run_id": "two"},
        {"aof_rewrites": "1"},
        {"aof_rewrite_in_progress": "1"},
        {"aof_last_write_status": "err"},
        {"server_time_usec": "999000000"},
    ],
)
def test_what_was_seen_before_something_happened_proves_nothing_after_it(changes: dict[str, str]) -> None:
    def at(seconds: float, **changes: Any) -> Look:
        return looked(**{"server_time_usec": str(int((1000 + seconds) * 1e6)), **changes})

    undisturbed, disturbed = SyncTracker(), SyncTracker()
    assert [undisturbed.observe(look) for look in (at(0), at(1.3), at(1.6))] == [0, 0, 7]
    assert [disturbed.observe(look) for look in (at(0), at(1.3), at(1.4, **changes), at(1.6, **changes))] == [0] * 4


def test_a_sync_that_is_under_way_is_waited_for() -> None:
    tracker = SyncTracker()
    times = ((0, 0), (1.3, 1), (1.6, 1), (1.9, 1), (2.2, 0))
    looks = [looked(server_time_usec=str(int((1000 + at) * 1e6)), aof_pending_bio_fsync=str(n)) for at, n in times]
    assert [tracker.observe(look) for look in looks] == [0, 0, 0, 0, 7]


@pytest.mark.parametrize(("needed", "known"), [("0", True), ("1", True), ("2", False)])
def test_what_too_few_replicas_have_acknowledged_is_not_saved(needed: str, known: bool) -> None:
    def at(seconds: float, first: int, second: int) -> Look:
        return looked(
            server_time_usec=str(int((1000 + seconds) * 1e6)),
            min_replicas_to_write=needed,
            connected_slaves="2",
            slave0=f"ip=1.1.1.1,port=1,state=online,offset={first},lag=0",
            slave1=f"ip=1.1.1.2,port=1,state=online,offset={second},lag=0",
            master_repl_offset=str(500 + int(seconds * 100)),
        )

    tracker = SyncTracker()
    assert [tracker.observe(look) for look in (at(0, 400, 400), at(1.3, 499, 400), at(1.6, 499, 400))] == [0] * 3
    assert tracker.waits_for_replicas
    assert (tracker.observe(at(2.0, 500, 499)) == 7) is known


def test_where_replicas_follow_a_sync_at_once_is_not_enough() -> None:
    replica = {"connected_slaves": "1", "slave0": "ip=1.1.1.1,port=1,state=online,offset=0,lag=0"}
    assert looked(appendfsync="always").saves_at_once
    assert not looked(appendfsync="always", **replica).saves_at_once


def test_where_the_policy_may_not_be_read_the_rest_counts() -> None:
    seen = durability.read(None, redis.ResponseError("NOPERM"), b"aof_enabled:1\r\naof_last_write_status:ok\r\n")
    assert (seen.number, seen.problem, seen.saves_at_once) == (0, "", False)


# --- A Valkey with a file


@pytest.fixture(scope="module")
def file_keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Valkey that keeps an append-only file."""
    valkey = Valkey(Folder(tmp_path_factory.mktemp("file-keeper"), for_servers()), "s3cret")
    child = Child(valkey.spec())
    try:
        wait_for(valkey.spec().ready, PATIENCE, "Valkey serves")
        yield valkey.url
    finally:
        child.kill()


@pytest.fixture
async def outbox(file_keeper: str, settings: Settings) -> AsyncIterator[Outbox]:
    """A connected outbox, whose pushes nobody sends."""
    settings.REDIS_URL = settings.CELERY_BROKER_URL = file_keeper
    settings.PUSH_DEADLINE = 60.0
    made = Outbox()
    made.start()
    await until(lambda: made.ready)
    yield made
    await made.close()


@pytest.fixture
def server(file_keeper: str) -> Iterator[redis.Redis]:
    """The Valkey, with the settings that it had afterwards."""
    with redis.Redis.from_url(file_keeper, decode_responses=True) as client:
        yield client
        client.config_set("appendfsync", "everysec")


def late(outbox: Outbox) -> None:
    """The deadline of all that waits has come."""
    outbox.responses.check_deadlines(outbox.loop.time() + 100, queue_up=outbox.link.up)


async def test_a_late_push_is_ok_once_it_is_on_the_disk(outbox: Outbox) -> None:
    first = intake.accept(outbox, ACME, body())
    await asyncio.sleep(0.1)
    second = intake.accept(outbox, ACME, body(ack_id="2"))
    await until(lambda: outbox.responses.synced == 2)
    assert outbox.responses.kept_bytes > 0
    late(outbox)
    assert [await error_of(first), await error_of(second)] == ["", ""]
    assert not outbox.responses.batches
    assert outbox.responses.kept_bytes == 0


async def test_a_late_push_that_may_not_be_on_the_disk_fails_and_says_so(outbox: Outbox) -> None:
    answer = intake.accept(outbox, ACME, body())
    await until(lambda: outbox.responses.newest == 1)  # Valkey has confirmed it
    late(outbox)
    error = await error_of(answer)
    assert error.startswith(
        "queue_unsaved the push had no result within 60 s, and the queue that it waits in could not"
    )
    assert ": it may still arrive; " in error
    assert not outbox.responses.batches


async def test_a_valkey_that_does_not_sync_is_named_and_trusted_again_when_it_does(
    outbox: Outbox, server: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    server.config_set("appendfsync", "no")
    intake.accept(outbox, ACME, body())
    await until(lambda: "may lose them: it does not sync its append-only file (appendfsync no)" in caplog.text)
    assert outbox.responses.synced == 0
    server.config_set("appendfsync", "everysec")
    await until(lambda: outbox.responses.synced == 1)


async def test_where_each_write_is_synced_at_once_nobody_waits_for_looks(outbox: Outbox, server: redis.Redis) -> None:
    server.config_set("appendfsync", "always")
    outbox.link.abort()
    await until(lambda: not outbox.ready)
    await until(lambda: outbox.ready)
    answer = intake.accept(outbox, ACME, body())
    await until(lambda: outbox.responses.newest == 1)
    late(outbox)
    assert await error_of(answer) == ""


@pytest.fixture
def replica(server: redis.Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """A replica that follows the Valkey."""
    valkey = Valkey(Folder(tmp_path_factory.mktemp("replica"), for_servers()), "s3cret")
    child = Child(valkey.spec())
    primary = server.connection_pool.connection_kwargs
    try:
        wait_for(valkey.spec().ready, PATIENCE, "the replica serves")
        with redis.Redis.from_url(valkey.url) as client:
            client.config_set("masterauth", "s3cret")
            client.replicaof("127.0.0.1", str(primary["port"]))
        wait_for(lambda: server.info("replication").get("slave0", {}).get("state") == "online", PATIENCE, "it follows")
        yield child
    finally:
        child.kill()
        wait_for(lambda: not server.info("replication")["connected_slaves"], PATIENCE, "it follows no more")


async def test_a_late_push_that_the_replica_may_not_have_fails_and_is_ok_when_it_has_caught_up(
    outbox: Outbox, replica: Child
) -> None:
    followed = intake.accept(outbox, ACME, body(ack_id="followed"))
    await until(lambda: outbox.responses.synced == 1)
    late(outbox)
    assert await error_of(followed) == ""
    replica.signal_group(signal.SIGSTOP)
    try:
        behind = intake.accept(outbox, ACME, body(ack_id="behind"))
        await asyncio.sleep(3.0)  # on the primary's disk after two and a half
        late(outbox)
        assert (await error_of(behind)).startswith("queue_unsaved ")
    finally:
        replica.signal_group(signal.SIGCONT)
    await until(lambda: outbox.responses.synced == 2)


async def test_an_idle_process_does_not_look(outbox: Outbox, server: redis.Redis) -> None:
    intake.accept(outbox, ACME, body())
    await until(lambda: outbox.responses.synced == 1)
    calls = server.info("commandstats")["cmdstat_config|get"]["calls"]
    await asyncio.sleep(3 * durability.LOOK_INTERVAL)
    assert server.info("commandstats")["cmdstat_config|get"]["calls"] == calls
