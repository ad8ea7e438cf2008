"""Over the limit: what the server is told, and rows that count each push once, however many there are."""

import asyncio

import msgspec
import pytest
import redis
from pytest_django import Settings

from delivery.ingest import intake
from delivery.ingest.outbox import Outbox
from delivery.ingest.pending import PendingPush
from delivery.log.rows import ROWS
from delivery.protocol import wire
from delivery.queue import valkey
from tenants.directory.snapshot import Identity, Limit
from tests.delivery.links import disconnect, until
from tests.delivery.web_process import ACME, TINY, body, error_of, queued, rows


async def test_over_the_limit_the_server_is_told_limit_use_and_whom_to_ask(outbox: Outbox, settings: Settings) -> None:
    settings.SUPPORT_CONTACT = "support@example.com"
    who = msgspec.structs.replace(ACME, server=TINY)
    answers = [intake.accept(outbox, who, body()) for _ in range(20)]
    refused = [text for text in await asyncio.gather(*map(error_of, answers)) if text]
    assert refused
    for text in refused:
        assert text.startswith("over_limit this server may send 1 pushes a second and 3 at once, and sent ")
        assert ": send less at once, or ask support@example.com for a higher limit (trace " in text


async def test_a_flood_shares_rows_whose_counts_add_up(outbox: Outbox, store: redis.Redis) -> None:
    who = msgspec.structs.replace(ACME, server=Limit(0, 0, 1))
    first = intake.accept(outbox, who, body())
    for number in range(300):
        assert (await error_of(intake.accept(outbox, who, body(ack_id=str(number))))).startswith("over_limit")
        if number % 50 == 0:
            outbox.turned_away.flush()
    found = await rows(store, 300)
    assert len(found) < 30
    assert {(row["code"], row["outcome"], row["counts"], row["attribution"]) for row in found} == {
        ("over_limit", "refused", "f", "customer")
    }
    assert await error_of(first) == ""


async def test_floods_of_two_servers_do_not_share_rows(outbox: Outbox, store: redis.Redis) -> None:
    for server in (5, 6):
        who = Identity(server, server, server, True, "", b"", server=Limit(0, 0, 1))
        intake.accept(outbox, who, body())
        for _ in range(10):
            await intake.accept(outbox, who, body())
    found = await rows(store, 20)
    counted = {server: sum(int(row["count"]) for row in found if row["server_id"] == server) for server in "56"}
    assert counted == {"5": 10, "6": 10}


async def test_rows_of_a_flood_that_no_answer_came_for_are_counted_once(outbox: Outbox, store: redis.Redis) -> None:
    who = msgspec.structs.replace(ACME, server=Limit(0, 0, 1))
    for _ in range(5):
        for _ in range(10):
            outbox.turned_away.turn_away(_over(outbox, who), "over_limit")
        outbox.turned_away.flush()
        # Valkey writes them, and the connection breaks before its answer is read.
        outbox.link._protocol.waiting[-1].set_exception(valkey.ConnectionLost("as if it broke"))  # type: ignore[union-attr]
        for _ in range(3):
            outbox.turned_away.turn_away(_over(outbox, who), "over_limit")
        await outbox.link.drain()
    await until(lambda: not outbox.turned_away._unsaved)
    await outbox.link.drain()
    lines = b"".join(store.lrange(ROWS, 0, -1)).decode().splitlines()
    assert len(lines) > len({line.partition("\t")[0] for line in lines}), "no row came twice: this test shows nothing"
    by_name: dict[str, int] = {}
    for line in lines:  # the table takes the first row of a name
        by_name.setdefault(line.partition("\t")[0], int(line.rpartition("\t")[2]))
    assert sum(by_name.values()) == 5 * (10 + 3)


def _over(outbox: Outbox, who: Identity) -> PendingPush:
    return PendingPush(who, wire.Push(), outbox.trace(), 1_700_000_000.0, 1, outbox.loop.create_future())


async def test_rows_of_a_flood_are_handed_over_when_the_process_ends(outbox: Outbox, store: redis.Redis) -> None:
    who = msgspec.structs.replace(ACME, server=Limit(0, 0, 1))
    outbox.turned_away.__dict__.update(_flush_handle=outbox.loop.call_later(1000, print))
    intake.accept(outbox, who, body())
    for _ in range(7):
        await intake.accept(outbox, who, body())
    await outbox.close()
    assert sum(int(row["count"]) for row in await rows(store, 7)) == 7


async def test_sessions_pass_where_messages_are_refused(outbox: Outbox, store: redis.Redis) -> None:
    who = msgspec.structs.replace(ACME, server=Limit(1, 1, 1))
    intake.accept(outbox, who, body(ack_id="first"))
    assert (await error_of(intake.accept(outbox, who, body(ack_id="second")))).startswith("over_limit")
    for _ in range(20):
        intake.accept(outbox, who, body(type="session", ack_id="wipe"))
    assert [item.push.ack_id for item in await queued(outbox, store)] == ["first", *["wipe"] * 20]


async def test_what_is_in_flight_is_counted_no_more_when_it_has_its_answer(outbox: Outbox) -> None:
    who = msgspec.structs.replace(ACME, server=Limit(0, 0, 2))
    answers = [intake.accept(outbox, who, body()) for _ in range(2)]
    assert (await error_of(intake.accept(outbox, who, body()))).startswith("over_limit")
    await asyncio.gather(*answers)
    assert {bucket.in_flight for bucket in outbox.limits._buckets.values()} == {0}
    assert await error_of(intake.accept(outbox, who, body())) == ""


@pytest.mark.parametrize("trouble", ["queue_down", "overloaded"])
async def test_a_push_that_is_not_taken_on_is_not_counted_as_waiting(outbox: Outbox, trouble: str) -> None:
    who = msgspec.structs.replace(ACME, server=Limit(0, 0, 5))
    if trouble == "overloaded":
        outbox.waiting_limit = 0
    else:
        outbox.link.up = False
    for _ in range(10):
        assert (await error_of(intake.accept(outbox, who, body()))).startswith(trouble)
    outbox.link.up = True
    assert {bucket.in_flight for bucket in outbox.limits._buckets.values()} == {0}


async def test_pushes_that_never_reached_the_queue_are_no_longer_waiting(outbox: Outbox, store: redis.Redis) -> None:
    who = msgspec.structs.replace(ACME, server=Limit(0, 0, 5))
    answers = [intake.accept(outbox, who, body()) for _ in range(5)]
    outbox._flush()
    outbox.link._protocol._unwritten.clear()  # type: ignore[union-attr]
    outbox.responses.synced = 0
    for text in await asyncio.gather(*map(error_of, answers)):
        assert text.startswith("queue_down")
    disconnect(store)
    await until(lambda: not outbox.responses.batches)
    assert {bucket.in_flight for bucket in outbox.limits._buckets.values()} == {0}
    assert outbox.responses.waiting == 0


async def test_pushes_that_valkey_refuses_are_no_longer_waiting(outbox: Outbox) -> None:
    who = msgspec.structs.replace(ACME, server=Limit(0, 0, 5))
    answers = [intake.accept(outbox, who, body()) for _ in range(5)]
    outbox._flush()
    (sent,) = outbox.responses.batches.values()
    outbox._publisher._give_up(sent)
    for text in await asyncio.gather(*map(error_of, answers)):
        assert text.startswith("queue_down")
    assert {bucket.in_flight for bucket in outbox.limits._buckets.values()} == {0}
    assert outbox.responses.waiting == 0
