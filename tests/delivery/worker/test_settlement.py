"""Settling: once per push, whoever does it and however often."""

from typing import Any

import pytest
import redis

from delivery.log import rows as log_rows
from delivery.queue import valkey
from delivery.queue.receipt import Receipt
from delivery.worker import settlement

BATCH = "abcdef:7"


@pytest.fixture
async def link(valkey_url: str) -> Any:
    """A link to an empty Valkey."""
    link = valkey.Link(valkey_url)
    await link.start()
    yield link
    link.close()


@pytest.fixture
def store(valkey_url: str) -> redis.Redis:
    """The same Valkey, to look at."""
    return redis.Redis.from_url(valkey_url)


async def settled(link: valkey.Link, rows: list[tuple[int, bytes]], *, whole: bool, last: bool = True) -> Any:
    """Settle by the script's text and return what it says."""
    answer = link._loop.create_future()  # type: ignore[union-attr]
    link.post(settlement.command(BATCH, rows, b"reply", whole=whole, last=last, by_name=False), 1, answer)
    return await answer


ROWS = [(0, b"row 0\n"), (1, b"row 1\n")]


async def test_a_whole_batch_leaves_its_rows_and_its_answers_and_takes_its_payload(
    link: valkey.Link, store: redis.Redis
) -> None:
    store.set(f"batch:{BATCH}", "sealed")
    assert await settled(link, ROWS, whole=True) == 1
    assert store.lrange(log_rows.ROWS, 0, -1) == [b"row 0\nrow 1\n"]
    assert store.lrange("reply:abcdef", 0, -1) == [b"reply"]
    assert not store.exists(f"batch:{BATCH}")
    assert store.ttl("reply:abcdef") > 0


async def test_a_whole_batch_is_not_settled_twice(link: valkey.Link, store: redis.Redis) -> None:
    await settled(link, ROWS, whole=True)
    assert await settled(link, ROWS, whole=True) == 0
    assert await settled(link, ROWS, whole=False) == 1
    assert store.llen(log_rows.ROWS) == 1


async def test_parts_of_a_batch_are_settled_once_each(link: valkey.Link, store: redis.Redis) -> None:
    store.set(f"batch:{BATCH}", "sealed")
    await settled(link, ROWS[:1], whole=False, last=False)
    assert store.exists(f"batch:{BATCH}")
    await settled(link, ROWS, whole=False)
    assert store.lrange(log_rows.ROWS, 0, -1) == [b"row 0\n", b"row 1\n"]
    assert not store.exists(f"batch:{BATCH}")


async def test_progress_outlasts_an_outage_while_pushes_of_the_batch_are_left(
    link: valkey.Link, store: redis.Redis
) -> None:
    await settled(link, ROWS[:1], whole=False, last=False)
    assert store.ttl(f"done:{BATCH}") > settlement.BEGUN - 60
    await settled(link, ROWS[1:], whole=False)
    assert 0 < store.ttl(f"done:{BATCH}") <= settlement.KEPT


async def test_a_batch_that_was_begun_is_not_settled_as_a_whole(link: valkey.Link, store: redis.Redis) -> None:
    await settled(link, ROWS[:1], whole=False, last=False)
    assert await settled(link, ROWS, whole=True) == 0
    assert store.llen(log_rows.ROWS) == 1


async def test_progress_tells_which_pushes_are_settled(link: valkey.Link, store: redis.Redis) -> None:
    await settled(link, [(0, b"row\n"), (9, b"row\n"), (130, b"row\n")], whole=False, last=False)
    done = store.get(f"done:{BATCH}")
    assert [index for index in range(200) if settlement.settled_before(done, index)] == [0, 9, 130]


async def test_progress_of_a_whole_batch_is_never_taken_for_a_part(link: valkey.Link, store: redis.Redis) -> None:
    # "*" is a byte with some bits set: were it read as bits, pushes would be lost or repeated.
    await settled(link, ROWS, whole=True)
    done = store.get(f"done:{BATCH}")
    assert all(settlement.settled_before(done, index) for index in range(200))
    assert not any(settlement.settled_before(None, index) for index in range(200))


async def test_the_hash_names_the_script(link: valkey.Link, store: redis.Redis) -> None:
    store.script_flush()
    answer = link._loop.create_future()  # type: ignore[union-attr]
    link.post(settlement.command(BATCH, ROWS, b"reply", whole=True, last=True), 1, answer)
    assert "NOSCRIPT" in str(await answer)
    await settled(link, ROWS, whole=True)
    again = link._loop.create_future()  # type: ignore[union-attr]
    link.post(settlement.command("abcdef:8", ROWS, b"reply", whole=True, last=True), 1, again)
    assert await again == 1


# --- The message that the batch came with

TAKEN, ITEM = "taken:worker:push", b"the message"


async def settled_with_receipt(
    link: valkey.Link, rows: list[tuple[int, bytes]], *, whole: bool, last: bool = True, item: bytes = ITEM
) -> Any:
    """The same with a receipt for the message."""
    answer = link._loop.create_future()  # type: ignore[union-attr]
    receipt = Receipt(TAKEN, item)
    command = settlement.command(BATCH, rows, b"reply", whole=whole, last=last, receipt=receipt, by_name=False)
    link.post(command, 1, answer)
    return await answer


@pytest.mark.parametrize("whole", [True, False])
async def test_the_last_settlement_acknowledges_the_message_and_no_other(
    link: valkey.Link, store: redis.Redis, whole: bool
) -> None:
    store.lpush(TAKEN, b"another", ITEM, b"a third")
    if not whole:
        await settled_with_receipt(link, ROWS[:1], whole=False, last=False)
        assert store.llen(TAKEN) == 3
    assert await settled_with_receipt(link, ROWS, whole=whole) == 1
    assert store.lrange(TAKEN, 0, -1) == [b"a third", b"another"]
    assert 0 < store.ttl(f"done:{BATCH}") <= settlement.KEPT


async def test_a_settlement_that_is_repeated_changes_nothing(link: valkey.Link, store: redis.Redis) -> None:
    store.lpush(TAKEN, ITEM)
    assert await settled_with_receipt(link, ROWS, whole=True) == 1
    assert await settled_with_receipt(link, ROWS, whole=True) == 0
    assert await settled_with_receipt(link, ROWS, whole=False) == 1
    assert (store.llen(log_rows.ROWS), store.llen("reply:abcdef"), store.exists(TAKEN)) == (1, 1, 0)


@pytest.mark.parametrize("whole", [True, False])
async def test_progress_outlasts_any_wait_when_others_have_requeued_the_message(
    link: valkey.Link, store: redis.Redis, whole: bool
) -> None:
    # It is in the queue then, for as long as no worker comes, and must not be sent again by the one that does.
    store.lpush("push", ITEM)
    assert await settled_with_receipt(link, ROWS, whole=whole) == 1
    assert store.ttl(f"done:{BATCH}") > settlement.BEGUN - 60


async def test_whoever_took_a_message_over_acknowledges_it_though_another_has_settled_it(
    link: valkey.Link, store: redis.Redis
) -> None:
    store.lpush(TAKEN, b"as it was requeued")
    assert await settled_with_receipt(link, ROWS, whole=True) == 1
    assert await settled_with_receipt(link, ROWS, whole=True, item=b"as it was requeued") == 0
    assert store.llen(TAKEN) == 1
    assert await settled_with_receipt(link, ROWS, whole=False, item=b"as it was requeued") == 1
    assert not store.exists(TAKEN)
