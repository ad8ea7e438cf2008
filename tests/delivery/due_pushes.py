"""Pushes of the due list, made older, and sent without waiting for their time."""

import asyncio

import redis

from delivery.queue import due_list
from delivery.worker import due_item
from delivery.worker.batch_sender import BatchSender
from delivery.worker.due_delivery import DueDelivery


def waiting(store: redis.Redis) -> list[str]:
    """The traces of the pushes of the list, in the order of their times."""
    return [id_.decode() for id_ in store.zrange(due_list.DUE, 0, -1)]  # type: ignore[union-attr]


def age(store: redis.Redis, sender: BatchSender, trace: str, seconds: float) -> None:
    """Let a push of the list have been accepted so long before it was."""
    settler = sender.settler.due
    due = due_item.unseal(settler.cipher, trace, store.hget(due_list.ITEMS, trace))  # type: ignore[arg-type]
    due.item.at -= seconds
    store.hset(due_list.ITEMS, trace, settler.sealed(due))  # type: ignore[arg-type]


async def deliver(store: redis.Redis, sender: BatchSender, due: DueDelivery | None = None) -> None:
    """Let the time of all that waits come, and send it until it is settled."""
    store.zadd(due_list.DUE, dict.fromkeys(waiting(store), 1))
    await (due or DueDelivery(sender))._claim(100)
    async with asyncio.timeout(30):
        await sender.wait_until_idle()
