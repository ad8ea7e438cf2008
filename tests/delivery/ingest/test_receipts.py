"""Receipts on their way from the phones' acks to Valkey: kept after the answer, bounded, and each server's its own."""

import asyncio
import itertools
import json
import logging
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from msgspec.structs import replace

from delivery.ingest import receipts
from delivery.ingest.api import Ack
from delivery.ingest.lean_request import LeanRequest
from delivery.ingest.outbox import Outbox
from delivery.ingest.receipts import Receipts
from delivery.log import receipt_lines
from delivery.log.receipt_lines import QUEUE, ReceiptLine
from delivery.metrics import receipt_counts
from delivery.protocol import wire
from delivery.queue import valkey
from delivery.queue.connection import ConnectionLost
from tenants.authentication import KEYLESS
from tests.delivery.links import disconnect, until
from tests.delivery.web_process import ACME, ANYBODY, LISTED, REGISTERED, keyless, proxies

ACK = wire.Ack(id="an-ack", received_at=1_790_000_000_123, platform="ios", type="message")
OTHERS = [replace(ACME, server_id=number) for number in range(100, 110)]


def written(store: redis.Redis) -> list[ReceiptLine]:
    """The receipts that wait in Valkey."""
    return receipt_lines.decode(b"".join(store.lrange(QUEUE.waiting, 0, -1)))


def left_out() -> dict[str, float]:
    """How many receipts were left out since the last call, by reason."""
    counted = receipt_counts.take().counters
    return {labels[0]: count for (name, labels), count in counted.items() if name == "hpns_receipts_left_out_total"}


@pytest.fixture
async def kept(valkey_url: str) -> AsyncIterator[Receipts]:
    """Of a process whose link to Valkey is not started yet: kept._link.start()."""
    receipt_counts.take()
    link = valkey.Link(valkey_url, on_up=lambda: made.flush(receipts.HANDOVER_BYTES))
    numbers = itertools.count(1)
    made = Receipts(link, lambda: f"t-{next(numbers)}")
    yield made
    link.close()


async def handed_over(kept: Receipts) -> None:
    """Let Valkey have all of them."""
    await kept._link.start()
    await until(lambda: not kept.size)


async def test_a_receipt_is_kept_with_whose_it_is_and_both_times(kept: Receipts, store: redis.Redis) -> None:
    before = int(time.time() * 1000) - 1
    kept.keep(ACME, ACK)
    await handed_over(kept)
    (line,) = written(store)
    assert (line.id, line.customer_id, line.server_id, line.ack_id) == ("t-1", 1, 2, "an-ack")
    assert (line.type, line.platform, line.phone_at) == ("message", "ios", 1_790_000_000_123)
    assert before <= line.received_at <= time.time() * 1000 + 1
    assert receipt_counts.take().counters == {("hpns_receipts_kept_total", ()): 1}


@pytest.mark.parametrize("nonsense", [0, -1, 1, 1_790_000_000, 4_102_444_800_000, 2**63 - 1, -(2**63)])
async def test_a_time_that_no_phone_has_is_none(kept: Receipts, store: redis.Redis, nonsense: int) -> None:
    kept.keep(ACME, wire.Ack(id="a", received_at=nonsense, platform="ios", type="message"))
    await handed_over(kept)
    assert [line.phone_at for line in written(store)] == [None]


async def test_whatever_an_ack_holds_is_short_and_fits_the_table(kept: Receipts, store: redis.Redis) -> None:
    hostile = "a\0\n\u2028\\\t" + "é" * 500
    kept.keep(ACME, wire.Ack(id=hostile, platform=hostile, type=hostile))
    kept.keep(ACME, ACK)
    await handed_over(kept)
    first, second = written(store)
    assert first.ack_id == hostile[: receipts.KEPT]
    assert first.type == first.platform == hostile[: receipts.KEPT].replace("\0", "")
    assert second.ack_id == "an-ack"


# --- The endpoint


def request(**headers: str) -> LeanRequest:
    scope = SimpleNamespace(method="POST", scheme="https", headers=headers, client="127.0.0.1:1")
    return LeanRequest(scope, "/api/v1/ack", json.dumps({"id": "a", "platform": "ios", "type": "message"}).encode())


async def test_the_answer_goes_first(outbox: Outbox) -> None:
    answer = Ack(outbox, proxies()).handle(ACME, request())
    assert answer.content == wire.OK_BODY
    assert outbox.receipts.size == 0
    await asyncio.sleep(0)
    assert outbox.receipts.size > 0


async def acked(outbox: Outbox, store: redis.Redis, **headers: str) -> list[tuple[int, int]]:
    """Customer and server of what is kept of an ack without a key."""
    left_out()
    view = Ack(outbox, proxies())
    view.keyless = keyless()
    assert view.handle(KEYLESS, request(**headers)).content == wire.OK_BODY
    await asyncio.sleep(0)
    await until(lambda: not outbox.receipts.size)
    return [(line.customer_id, line.server_id) for line in written(store)]


async def test_an_ack_without_a_key_is_the_test_services(outbox: Outbox, store: redis.Redis) -> None:
    assert await acked(outbox, store) == [(ANYBODY.customer_id, ANYBODY.server_id)]


async def test_an_ack_without_a_key_is_its_servers_if_a_header_names_it(outbox: Outbox, store: redis.Redis) -> None:
    named = await acked(outbox, store, **{"x-mattermost-serverid": REGISTERED})
    assert named == [(LISTED.customer_id, LISTED.server_id)]


async def test_an_ack_that_is_nobodys_is_answered_and_counted(
    outbox: Outbox, store: redis.Redis, settings: Any
) -> None:
    settings.TEST_SERVICE = False
    assert await acked(outbox, store) == []
    assert left_out() == {"no_customer": 1}


# --- Valkey away


async def test_what_comes_while_valkey_is_away_is_handed_over_when_it_is_back(
    kept: Receipts, store: redis.Redis
) -> None:
    for server in (ACME, OTHERS[0], ACME):
        for _ in range(receipts.LINES_MOST):
            kept.keep(server, ACK)
    await handed_over(kept)
    names = [int(line.id[2:]) for line in written(store)]
    assert sorted(names) == list(range(1, 3 * receipts.LINES_MOST + 1))
    assert left_out() == {}


async def test_a_receipt_whose_reply_was_lost_is_offered_again_under_its_name(
    kept: Receipts, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await kept._link.start()
    post, losses = kept._link.post, iter([True])

    def losing(commands: bytes, count: int, last: "asyncio.Future[Any]") -> bool:
        if next(losses, False):
            post(commands, count)
            last.set_exception(ConnectionLost("the reply is lost"))
            return True
        return post(commands, count, last)

    monkeypatch.setattr(kept._link, "post", losing)
    monkeypatch.setattr(receipts, "PAUSE", 0.01)
    kept.keep(ACME, ACK)
    kept.keep(ACME, ACK)
    await until(lambda: not kept.size)
    assert [line.id for line in written(store)] == ["t-1", "t-2", "t-1", "t-2"]


async def test_a_broken_connection_loses_none(kept: Receipts, store: redis.Redis) -> None:
    await kept._link.start()
    for _ in range(3):
        kept.keep(ACME, ACK)
        kept.flush()
        disconnect(store)
        kept.keep(OTHERS[0], ACK)
        await until(lambda: not kept._link.up)
        await until(lambda: not kept.size)
    assert len({line.id for line in written(store)}) == 6


async def test_what_valkey_refuses_is_offered_again_and_said_once(
    kept: Receipts, store: redis.Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(receipts, "PAUSE", 0.01)
    monkeypatch.setattr(receipt_lines, "KEEP", "#!lua\nreturn redis.error_reply('OOM no room')")
    kept.keep(ACME, ACK)
    await kept._link.start()
    await asyncio.sleep(0.1)
    assert kept.size
    assert caplog.text.count("Valkey does not take receipts of phones") == 1
    monkeypatch.undo()
    await until(lambda: not kept.size)
    assert [line.id for line in written(store)] == ["t-1"]


# --- A flood of one server


async def test_a_flood_fills_no_more_than_its_bytes_and_displaces_nobodys_receipts(
    kept: Receipts, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "MOST_BYTES", 500_000)
    for number in range(9_000):
        kept.keep(ACME, ACK)
        if number % 90 == 0:
            kept.keep(OTHERS[number // 90 % 10], ACK)
    assert kept.size <= 500_000
    assert kept._servers[ACME.server_id].size > 400_000
    lost = left_out()
    assert list(lost) == ["memory"]
    await handed_over(kept)
    lines = written(store)
    assert len(lines) == 9_100 - lost["memory"]
    assert len([line for line in lines if line.server_id != ACME.server_id]) == 100


async def test_a_server_has_a_rate_and_what_is_over_it_is_said_once_a_minute(
    kept: Receipts, store: redis.Redis, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(receipts, "BURST", 100)
    monkeypatch.setattr(receipts, "RATE", 1)
    for _ in range(1_000):
        kept.keep(ACME, ACK)
    for other in OTHERS:
        kept.keep(other, ACK)
    assert left_out()["rate"] >= 890
    loud = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.message for record in loud] == [
        "receipts of phones were left out: 1 (rate); nobody will know that these pushes came"
    ]
    kept._reminded_at -= receipts.REMINDER
    kept.keep(ACME, ACK)
    assert "(rate)" in caplog.records[-1].message
    await handed_over(kept)
    assert {line.server_id for line in written(store)} == {ACME.server_id, *(other.server_id for other in OTHERS)}


async def test_in_valkey_too_a_server_has_a_share_until_what_waits_is_taken(
    kept: Receipts, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = str(receipt_lines.SERVER_MOST)
    monkeypatch.setattr(receipt_lines, "KEEP", receipt_lines.KEEP.replace(f"> {most}", "> 400"))
    for _ in range(700):
        kept.keep(ACME, ACK)
    kept.keep(OTHERS[0], ACK)
    await handed_over(kept)
    assert left_out() == {"backlog": 300}
    assert len(written(store)) == 401


async def test_all_that_waits_in_valkey_has_a_bound(
    kept: Receipts, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = str(receipt_lines.WAITING_MOST)
    monkeypatch.setattr(receipt_lines, "KEEP", receipt_lines.KEEP.replace(f"> {most}", "> 5"))
    for other in OTHERS:
        kept.keep(other, ACK)
    await handed_over(kept)
    assert left_out() == {"backlog": 5}
    assert len(written(store)) == 5


async def test_servers_that_bring_none_any_more_are_forgotten(
    kept: Receipts, store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receipts, "QUIET", 0.02)
    kept.keep(OTHERS[0], ACK)
    await handed_over(kept)
    await asyncio.sleep(0.05)
    kept.keep(ACME, ACK)
    await until(lambda: not kept.size)
    assert OTHERS[0].server_id not in kept._servers


async def test_pushes_go_on_through_a_flood_of_acks(outbox: Outbox, store: redis.Redis) -> None:
    view = Ack(outbox, proxies())
    for _ in range(2_000):
        view.handle(ACME, request())
    push = wire.Push(platform="apple_rn-v2", device_id="d", server_id=REGISTERED)
    outbox.submit(ACME, push, wire.encode_push(push), 100, outbox.limits.admit(ACME, push, "", 1))  # type: ignore[arg-type]
    await until(lambda: store.llen("push"))
    await until(lambda: not outbox.receipts.size)
    assert len(written(store)) == 2_000
