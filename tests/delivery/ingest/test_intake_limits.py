"""Over the limit: what the server is told, and rows that count each push once, however many there are."""

import asyncio

import msgspec
import pytest
import redis
from pytest_django import Settings

from delivery.ingest import intake, limits, refusals
from delivery.ingest.outbox import Outbox
from delivery.ingest.pending import PendingPush
from delivery.log.rows import ROWS, trace_of
from delivery.protocol import wire
from delivery.queue import valkey
from tenants.directory.snapshot import Identity, Limit
from tests.delivery.links import disconnect, swallow, until
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
    answers = []
    for number in range(300):
        answers.append(intake.accept(outbox, who, body(ack_id=str(number))))
        if number % 50 == 0:
            outbox.turned_away.flush()
    for answer in answers:
        assert (await error_of(answer)).startswith("over_limit")
    found = await rows(store, 300)
    assert len(found) < 30
    assert {(row["code"], row["outcome"], row["counts"], row["attribution"]) for row in found} == {
        ("over_limit", "refused", "f", "customer")
    }
    assert await error_of(first) == ""


@pytest.mark.parametrize(
    ("nonsense", "code"),
    [
        (b"{", "malformed"),
        (body(device_id=""), "missing_device_id"),
        (body(server_id=""), "missing_server_id"),
        (body(from_webhook="x" * 7_000), "too_large"),
    ],
    ids=["malformed", "missing_device_id", "missing_server_id", "too_large"],
)
async def test_a_flood_of_anything_shares_rows_after_the_first_few(
    outbox: Outbox, store: redis.Redis, monkeypatch: pytest.MonkeyPatch, nonsense: bytes, code: str
) -> None:
    monkeypatch.setattr(refusals, "PAUSE", 60)  # all of it within one second, on however slow a machine
    monkeypatch.setattr(limits, "UNREADABLE", Limit())
    answers = [intake.accept(outbox, ACME, nonsense) for _ in range(300)]
    texts = await asyncio.gather(*map(error_of, answers))
    assert {text.split()[0] for text in texts} == {code}
    outbox.turned_away.flush()
    found = await rows(store, 300)
    assert {row["code"] for row in found} == {code}
    singles = [row for row in found if row["count"] == "1"]
    assert len(singles) == refusals.ROWS_OF_THEIR_OWN
    assert len(found) == len(singles) + 1
    assert all(row["trace"] in texts[number] for number, row in enumerate(singles))


async def test_whoever_floods_is_answered_late_and_no_more_than_may_wait_for_it(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "PAUSE", 60)  # all of it within one second, on however slow a machine
    monkeypatch.setattr(refusals, "DELAYED_MOST", 10)
    monkeypatch.setattr(refusals, "DELAY_MIN", 0.3)
    few = refusals.ROWS_OF_THEIR_OWN
    answers = [intake.accept(outbox, ACME, b"[") for _ in range(few + 15)]
    assert [answer.done() for answer in answers] == [True] * few + [False] * 10 + [True] * 5
    assert {(await error_of(answer)).split()[0] for answer in answers} == {"malformed"}
    assert outbox.turned_away._delayed == 0


async def test_what_is_refused_for_a_trouble_of_ours_is_answered_at_once(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    outbox.waiting_limit = 0
    answers = [intake.accept(outbox, ACME, body()) for _ in range(refusals.ROWS_OF_THEIR_OWN + 5)]
    assert all(answer.done() for answer in answers)
    assert (await error_of(answers[-1])).startswith("overloaded")


async def test_bodies_that_are_no_push_have_a_limit_of_their_own_that_uses_up_no_other(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "UNREADABLE", Limit(1, 100))
    who = msgspec.structs.replace(ACME, server=TINY)
    refused: list[str] = []
    for _ in range(40):
        for answer in (
            intake.accept(outbox, who, b"["),
            intake.too_large(outbox, who, 300_000),
            intake.unreadable(outbox, who, "it did not arrive"),
        ):
            refused.append((await error_of(answer)).split()[0])
        await outbox.link.drain()
    assert refused[:3] == ["malformed", "too_large", "malformed"]
    assert set(refused[-60:]) == {"over_limit"}
    assert await error_of(intake.accept(outbox, who, body())) == ""


async def test_a_push_without_a_device_costs_what_a_push_costs(outbox: Outbox) -> None:
    who = msgspec.structs.replace(ACME, server=TINY)
    texts = []
    for _ in range(30):
        texts.append(await error_of(intake.accept(outbox, who, body(device_id=""))))
        await outbox.link.drain()
    assert texts[0].startswith("missing_device_id")
    assert texts[-1].startswith("over_limit this server may send 1 pushes a second")


async def test_a_large_body_costs_a_token_for_each_8_kb_and_is_not_read_when_there_is_none(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = msgspec.structs.replace(ACME, server=Limit(1, 100))
    large = body(message="x" * 240_000)
    texts = []
    for _ in range(40):
        texts.append(await error_of(intake.accept(outbox, who, large)))
        await outbox.link.drain()
    passed = sum(not text for text in texts)
    assert 4 <= passed <= 5
    assert "(a body counts as one push for each 8 KB) (" in texts[-1].replace(": send less", " (")
    monkeypatch.setattr(wire, "decode_push", None)
    assert (await error_of(intake.accept(outbox, who, large))).startswith("over_limit")


async def test_a_large_test_push_of_a_stranger_uses_up_nothing_of_the_servers_own(outbox: Outbox) -> None:
    who = msgspec.structs.replace(ACME, server=TINY)
    for _ in range(50):
        await error_of(intake.accept(outbox, who, body(type="test", device_id="x" * 100_000)))
        await outbox.link.drain()
    assert await error_of(intake.accept(outbox, who, body())) == ""


async def test_when_the_queue_takes_up_valkeys_memory_a_push_is_refused_for_that_and_not_counted_as_waiting(
    outbox: Outbox,
) -> None:
    outbox.limits.memory.update(800, 1_000, 51)
    assert (await error_of(intake.accept(outbox, ACME, body()))).startswith("queue_full ")
    outbox.limits.memory.update(800, 1_000, 50)
    assert await error_of(intake.accept(outbox, ACME, body())) == ""
    assert {bucket.in_flight for bucket in outbox.limits._buckets.values()} == {0}


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
    lines = b"".join(store.lrange(ROWS, 0, -1)).splitlines()
    assert len(lines) > len({trace_of(line) for line in lines}), "no row came twice: this test shows nothing"
    by_name: dict[bytes, int] = {}
    for line in lines:  # the table takes the first row of a name
        by_name.setdefault(trace_of(line), int(line.rpartition(b"\t")[2]))
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


async def test_wipes_pass_where_messages_are_refused(outbox: Outbox, store: redis.Redis) -> None:
    who = msgspec.structs.replace(ACME, server=Limit(1, 1, 1))
    intake.accept(outbox, who, body(ack_id="first"))
    for number, members in enumerate(({}, {"type": "session"}), 2):
        refused = intake.accept(outbox, who, body(ack_id=str(number), **members))
        assert (await error_of(refused)).startswith("over_limit")
    wipes = [f"wipe {number}" for number in range(20)]
    for wipe in wipes:
        intake.accept(outbox, who, body(type="session", cont_ava=1, message="", ack_id=wipe))
    assert [item.push.ack_id for item in await queued(outbox, store)] == ["first", *wipes]


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
    swallow(outbox.link)
    outbox._flush()
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


async def test_a_customer_whose_pushes_wait_leaves_places_for_others_and_for_wipes(outbox: Outbox) -> None:
    outbox.waiting_limit, waiting = 30, lambda: outbox.responses.waiting
    flood = [intake.accept(outbox, ACME, body(ack_id=f"flood-{number}")) for number in range(40)]
    assert waiting() == 20, "two thirds of the places"
    assert (await error_of(flood[-1])).startswith("overloaded")
    flood += [intake.accept(outbox, ACME, body(ack_id=f"more-{number}")) for number in range(40)]
    before, other = waiting(), msgspec.structs.replace(ACME, customer_id=7, server_id=7, key_id=7)
    intake.accept(outbox, other, body())
    intake.accept(outbox, ACME, body(type="session", cont_ava=1, message=""))
    assert waiting() == before + 2
