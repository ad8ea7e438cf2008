"""Check of the ledger: each batch that was accepted and has not ended is in the queue or in somebody's hands.

What is entered (delivery/queue/ledger.py) and stands in no list any more will never end: its message was deleted, put
aside and never given back, or outlived its payload. Its pushes end here as `lost`: a row each, counted against us and
told like any other failure. A batch younger than UNHEARD is not looked at, so that there is nothing to look for while
all is well. Invariants: what is in a list is never ended here, and what has ended never ends again, for the settlement
says so (settlement.py); a queue too long to be read is left alone, and said to be unchecked.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import msgspec

from delivery.queue import batch, due_list, ledger, shared_clock, told, valkey
from delivery.worker import lost_pushes, settlement_script

logger = logging.getLogger(__name__)

# Seconds between two checks, of all workers together.
INTERVAL: Final = 60.0
# Seconds after which a batch should have ended, or stand in a list: far longer than any attempt.
UNHEARD: Final = 120.0
# Seconds between two looks for a batch that is in no list: it may have been on its way from one to another.
AGAIN: Final = 1.0
# Seconds that a message may lie among those that were put aside: until then somebody may give it back.
PUT_ASIDE_MOST: Final = 24 * 3600.0
# Messages of all lists up to which they are read, and how many at a time.
MESSAGES_MOST: Final = 5_000
CHUNK: Final = 200
_PUT_ASIDE: Final = "unreadable"  # hpns/celery/commands.py


class _Headers(msgspec.Struct):
    id: str
    at: float = 0.0


class _Message(msgspec.Struct):
    headers: _Headers


_message: Final = msgspec.json.Decoder(_Message).decode


async def watch(link: valkey.Link) -> None:
    """Check once a minute, until cancelled."""
    while True:
        try:
            # A check that is never made has an age from the first worker's start on.
            await valkey.ask(link, "HSETNX", ledger.STATE, "checked_at", f"{shared_clock.now():.3f}")
        except ConnectionError as error:
            logger.warning("that the ledger of pushes is to be checked cannot be noted: %s", error)
        await asyncio.sleep(INTERVAL)
        try:
            if await valkey.ask(link, "SET", ledger.TURN, "1", "NX", "EX", str(int(INTERVAL - 5))):
                await check(link)
        except (ConnectionError, msgspec.DecodeError) as error:
            logger.warning("the ledger of pushes cannot be checked: %s", error)


async def check(link: valkey.Link) -> int:
    """Check once, and end what is nowhere; returns how many pushes were lost. Raises ConnectionError."""
    now = shared_clock.now()
    old = {
        name: heads
        async for name, heads in _entries(link)
        if any(head is not None and now - head.at > UNHEARD for head in heads)
    }
    if old:
        for _ in range(2):
            listed = await _listed(link, now)
            if listed is None:
                logger.warning("the queue is too long for its ledger to be checked")
                return 0
            old = {name: heads for name, heads in old.items() if name not in listed}
            if not old:
                break
            await asyncio.sleep(AGAIN)
    lost = 0
    for name, heads in old.items():
        lost += await _end(link, name, heads)
    await _check_due(link)
    await valkey.ask(link, "HSET", ledger.STATE, "checked_at", f"{now:.3f}")
    if lost:
        await valkey.ask(link, "HINCRBY", ledger.STATE, "lost", str(lost))
    return lost


async def _check_due(link: valkey.Link) -> None:
    """Give what waits to be tried again, and would never be, a time again: one change by hand may have taken it."""
    if await valkey.ask(link, "ZCARD", due_list.DUE) >= await valkey.ask(link, "HLEN", due_list.ITEMS):
        return
    cursor, found = b"0", 0
    while True:
        cursor, items = await valkey.ask(link, "HSCAN", due_list.ITEMS, cursor, "COUNT", str(CHUNK))
        if items:
            found += await valkey.ask(link, *due_list.relisting(items[::2]))
        if cursor == b"0":
            break
    if found:
        logger.error("%d pushes that were to be tried again had no time, and are due at once", found)


async def _entries(link: valkey.Link) -> "AsyncIterator[tuple[str, list[ledger.Head | None]]]":
    cursor = b"0"
    while True:
        cursor, found = await valkey.ask(link, "HSCAN", ledger.OPEN, cursor, "COUNT", str(CHUNK))
        for name, entry in zip(found[::2], found[1::2], strict=True):
            yield name.decode(), ledger.heads(entry)
        if cursor == b"0":
            return


async def _listed(link: valkey.Link, now: float) -> set[str] | None:
    """The batches whose messages stand in a list; None where that is too much to read."""
    # The queue first: what is taken from it meanwhile is found in the list of whoever took it.
    keys, cursor = [batch.QUEUE.encode()], b"0"
    while True:
        cursor, found = await valkey.ask(link, "SCAN", cursor, "MATCH", f"taken:*:{batch.QUEUE}", "COUNT", "1000")
        keys += found
        if cursor == b"0":
            break
    listed: set[str] = set()
    left = MESSAGES_MOST
    for key in (*keys, _PUT_ASIDE):
        start = 0
        while messages := await valkey.ask(link, "LRANGE", key, str(start), str(start + CHUNK - 1)):
            listed.update(_names(messages, now if key == _PUT_ASIDE else None))
            start += CHUNK
            left -= len(messages)
            if left < 0:
                return None
    return listed


def _names(messages: Iterable[bytes], now: float | None) -> set[str]:
    """The batches of these messages; now: only of those that were not sent too long before."""
    names = set()
    for message in messages:
        try:
            headers = _message(message).headers
        except (msgspec.MsgspecError, ValueError):
            continue  # whatever it is, it is no batch that anybody could deliver
        if now is None or now - headers.at < PUT_ASIDE_MOST:
            names.add(headers.id)
    return names


async def _end(link: valkey.Link, name: str, heads: list[ledger.Head | None]) -> int:
    """End what is left of a batch that is nowhere; returns how many pushes that was."""
    if not await valkey.ask(link, "HEXISTS", ledger.OPEN, name):
        return 0  # it has ended meanwhile
    done, now = await valkey.ask(link, "GET", batch.progress_key(name)), shared_clock.now()
    lost = [
        (index, head)
        for index, head in enumerate(heads)
        if head is not None and not settlement_script.settled_before(done, index)
    ]
    lines = [(index, lost_pushes.line(head, now)) for index, head in lost]
    reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    settling = settlement_script.command(name, lines, b"", whole=False, last=True, by_name=False, mark=told_mark(done))
    link.post(settling, 1, reply)
    if isinstance(refused := await reply, Exception):
        raise ConnectionError(str(refused))
    for _, head in lost:
        lost_pushes.report(head, now)
    return len(lost)


def told_mark(done: bytes | None) -> bytes:
    """What the servers of a batch's pushes were told at its deadline, by its progress; b"" where nothing was."""
    mark = (done or b"")[:1]
    return mark if mark in told.MARKS else b""
