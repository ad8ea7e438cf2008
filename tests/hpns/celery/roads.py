"""Workers whose commands and replies are moved by hand, for the model of the queue's protocol."""

import asyncio
import collections
from typing import Any

import hiredis
import redis

from delivery.outcomes import judge
from delivery.protocol.wire import Push
from delivery.queue import batch, valkey
from delivery.queue.receipt import of
from delivery.worker.batch_progress import BatchProgress
from delivery.worker.settlement import Settler
from hpns.celery.consumer import Consumer
from tests.hpns.celery.conftest import QUEUE

ROOM = 6


class Road:
    """A link to Valkey on which each command and each reply is moved by hand."""

    def __init__(self, store: redis.Redis, loop: asyncio.AbstractEventLoop) -> None:
        self.store, self.loop = store, loop
        self.posted: collections.deque[tuple[tuple[Any, ...], asyncio.Future[Any]]] = collections.deque()
        self.replied: collections.deque[tuple[Any, asyncio.Future[Any]]] = collections.deque()
        # A BLMOVE of a connection of which the server does not know yet that it was cut, and for how many looks not.
        self.ghost: tuple[Any, ...] | None = None
        self.looks_left = 0

    def post(self, packed: bytes, count: int, last: "asyncio.Future[Any]") -> bool:
        reader = hiredis.Reader()
        reader.feed(packed)
        self.posted.append((tuple(reader.gets()), last))
        return True

    def execute(self, *command: Any) -> "asyncio.Future[Any]":
        future: asyncio.Future[Any] = self.loop.create_future()
        self.posted.append((tuple(part.encode() if isinstance(part, str) else part for part in command), future))
        return future

    def start(self) -> "asyncio.Future[None]":
        up: asyncio.Future[None] = self.loop.create_future()
        up.set_result(None)
        return up

    def abort(self) -> None:
        self.cut()

    def close(self) -> None:
        self.cut()

    def arrive(self) -> bool:
        """Let the next command arrive and be executed; whether one was (a BLMOVE waits for a message)."""
        if not self.posted:
            return False
        command, future = self.posted[0]
        if command[0] == b"BLMOVE":
            reply = self.move(command)
            if reply is None:
                return False
        else:
            try:
                reply = self.store.execute_command(*command)
            except redis.ResponseError as error:
                reply = error
        if command[0] == b"LRANGE":
            self.looks_left -= 1
            self.ghost = self.ghost if self.looks_left > 0 else None
        self.posted.popleft()
        self.replied.append((reply, future))
        return True

    def move(self, command: tuple[Any, ...]) -> Any:
        return self.store.lmove(command[1], command[2], "RIGHT", "LEFT")

    def return_(self) -> bool:
        """Let the next reply come back."""
        if not self.replied:
            return False
        reply, future = self.replied.popleft()
        if not future.done():
            future.set_result(reply)
        return True

    def cut(self) -> None:
        """Cut the connection: what has not arrived never does, what has not come back is lost."""
        if self.posted and self.posted[0][0][0] == b"BLMOVE":
            self.ghost, self.looks_left = self.posted[0][0], 2
        lost = [future for _, future in (*self.replied, *self.posted)]
        self.posted.clear()
        self.replied.clear()
        for future in lost:
            if not future.done():
                future.set_exception(valkey.ConnectionLost("cut"))
                future.exception()


class Worker:
    """A worker: its two roads, its consumer, and the messages in its hands by tag."""

    def __init__(self, machine: Any, name: str) -> None:
        self.machine, self.name = machine, name
        self.commands, self.consuming = Road(machine.store, machine.loop), Road(machine.store, machine.loop)
        machine.roads[name] = self.consuming
        self.running: dict[str, dict[str, Any]] = {}
        self.settling: set[str] = set()
        self.consumer = Consumer(
            name, self.commands, machine.loop, lambda _: len(self.consumer.unacked) < ROOM, with_receipts=True
        )
        self.settler = Settler(self.commands, machine.loop, b"k" * 32)
        # Its lease is what the server makes of it here, at any moment.
        self.consumer.lease.is_valid = lambda: True  # type: ignore[method-assign]
        self.consumer.lease.queues.append(QUEUE)
        self.consumer._deliver[QUEUE] = self.deliver
        machine.store.zadd("workers", {self.consumer.worker: machine.store.time()[0]})
        self.task = machine.loop.create_task(self.consumer._consume(QUEUE))

    def deliver(self, raw: dict[str, Any]) -> None:
        tag = raw["properties"]["delivery_tag"]
        machine = self.machine
        if tag in self.running:
            machine.faults.append(f"{tag} was handed over while this worker had it")
        if tag in machine.acknowledged:
            machine.faults.append(f"{tag} was acknowledged and is handed over again")
        self.running[tag] = raw
        done = machine.store.get(batch.progress_key(tag))
        if raw["properties"]["delivery_info"]["redelivered"] and done is not None:
            machine.loop.call_soon(self.acknowledge, tag)
            return
        if tag in machine.settled:
            machine.faults.append(f"{tag} was settled and is sent again")
        machine.sent[tag] += 1

    def acknowledge(self, tag: str) -> None:
        if self.running.pop(tag, None) is not None:
            self.consumer.ack(tag)

    def settle(self, tag: str) -> None:
        """Settle the batch of this message, then acknowledge the message, as the worker does."""
        self.settling.add(tag)
        item = batch.Item("trace", 1.0, 1, 1, 1, 1, Push())
        finished: asyncio.Future[None] = self.machine.loop.create_future()
        work = BatchProgress(tag, [item], finished, of(self.running[tag]))
        work.open.clear()
        work.ended.append((0, judge.refusal("expired"), ""))
        finished.add_done_callback(lambda _: self.acknowledge(tag))
        self.settler.settle(work)

    def idle(self) -> list[str]:
        """The tags of what it has and does not settle already, in order."""
        return sorted(set(self.running) - self.settling)

    def die(self) -> None:
        self.task.cancel()
        self.running.clear()
        self.commands.cut()
        self.consuming.cut()
        self.acknowledge = lambda tag: None  # type: ignore[method-assign]
        self.settler._post = lambda settlement: None  # type: ignore[method-assign]
