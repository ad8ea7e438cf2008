"""The whole protocol of the queue, driven at random: no message is lost, and none that was settled is sent again.

hypothesis moves two workers, each command's way to a real Valkey and each reply's way back one step at a time, cuts
connections in between, kills workers, lets leases expire and time pass. Consumer, processing lists and settlement are
the real ones; only the road is not.
"""

import asyncio
import collections
import json

import hypothesis.strategies as st
import pytest
import redis
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from delivery.queue import batch, valkey
from delivery.worker import settlement
from hpns.celery import commands, consumer
from tests.hpns.celery.conftest import QUEUE, message
from tests.hpns.celery.roads import ROOM, Road, Worker

HANDS = st.sampled_from(["first", "second"])
# Of what is on a road: it stays; its first command arrives, is lost, or is done and its reply lost; or all of it flows.
FATES = st.sampled_from(["stay", "arrive", "lost", "reply lost", "flow"])


class QueueProtocol(RuleBasedStateMachine):
    """See the module."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.patch = pytest.MonkeyPatch()
        self.store = redis.Redis.from_url(url)
        self.store.flushdb()
        self.store.script_load(settlement.SCRIPT)
        self.loop = asyncio.new_event_loop()
        self.roads: dict[str, Road] = {}
        self.patch.setattr(valkey, "Link", lambda name: self.roads[name])
        self.patch.setattr(consumer, "PAUSE_MIN", 0.0)
        self.patch.setattr(consumer, "BLOCK_SECONDS", -1)  # the second look follows at once; Road.ghost minds it
        self.patch.setattr(settlement, "PAUSE", 0.0)
        self.patch.setattr(settlement, "PAUSE_MAX", 0.0)
        self.sent: collections.Counter[str] = collections.Counter()
        self.published: list[str] = []
        self.settled: set[str] = set()
        self.acknowledged: set[str] = set()  # without a settlement, by a worker from which nobody took it over
        self.faults: list[str] = []
        self.lapsed: list[str] = []
        self.workers = {name: Worker(self, name) for name in ("first", "second")}
        for _ in range(3):
            self.publish()
        self.turn()

    def turn(self) -> None:
        """Let the workers do what they can without the server."""
        for _ in range(10):
            self.loop.run_until_complete(asyncio.sleep(0))
        if open_ := [tag for tag in self.published if tag not in self.settled]:
            done = self.store.mget([batch.progress_key(tag) for tag in open_])
            self.settled.update(tag for tag, value in zip(open_, done, strict=True) if value == b"*")

    def where(self) -> "collections.Counter[str]":
        """In how many places each message is."""
        keys = [QUEUE.encode(), *self.store.keys("taken:*"), commands.UNREADABLE.encode()]
        items = [item for key in keys for item in self.store.lrange(key, 0, -1)]
        return collections.Counter(json.loads(item)["properties"]["delivery_tag"] for item in items)

    # --- What may happen

    @rule()
    def publish(self) -> None:
        if len(self.published) == 12:
            return
        tag = f"batch:{len(self.published)}"
        self.published.append(tag)
        self.store.lpush(QUEUE, message(tag))

    def road(self, name: str, *, which: bool) -> Road:
        worker = self.workers[name]
        return worker.commands if which else worker.consuming

    def flow(self, road: Road) -> None:
        """Let a road carry everything."""
        while road.arrive() or road.return_():
            self.turn()

    @rule(name=HANDS, rounds=st.integers(1, 3))
    def run(self, name: str, rounds: int) -> None:
        """Nothing is lost for a while."""
        for _ in range(rounds):
            self.flow(self.road(name, which=True))
            self.flow(self.road(name, which=False))

    @rule(name=HANDS, which=st.booleans(), fate=FATES)
    def meet(self, name: str, which: bool, fate: str) -> None:
        """Let what is on a road meet a fate."""
        road = self.road(name, which=which)
        if fate == "flow":
            self.flow(road)
        elif fate in ("arrive", "reply lost"):
            road.arrive()
        if fate in ("lost", "reply lost"):
            road.cut()
        self.turn()

    @rule(name=HANDS, fate=FATES)
    def take(self, name: str, fate: str) -> None:
        """A message comes for a worker that waits."""
        self.run(name, 1)
        self.publish()
        self.meet(name, False, fate)

    @rule(name=HANDS, looked=st.booleans())
    def move_for_a_dead_connection(self, name: str, looked: bool) -> None:
        """A server that does not know yet that a connection was cut moves a message for it."""
        road = self.workers[name].consuming
        road.cut()
        self.turn()
        if looked:  # the worker has asked anew already what it has
            road.arrive()
        self.publish()
        if road.ghost is not None and road.move(road.ghost) is not None:
            road.ghost = None
        self.turn()

    @rule(name=HANDS, choice=st.integers(0, ROOM), fate=FATES)
    def settle(self, name: str, choice: int, fate: str) -> None:
        worker = self.workers[name]
        if tags := worker.idle():
            worker.settle(tags[choice % len(tags)])
            self.meet(name, True, fate)

    @rule(name=HANDS, choice=st.integers(0, ROOM), fate=FATES)
    def acknowledge(self, name: str, choice: int, fate: str) -> None:
        """Acknowledge a message whose task settles nothing."""
        worker = self.workers[name]
        if tags := [tag for tag in worker.idle() if tag not in self.settled]:
            tag = tags[choice % len(tags)]
            del worker.running[tag]
            taken = self.store.lrange(worker.consumer.lists.key(QUEUE), 0, -1)
            if worker.consumer.unacked[tag].items() & set(taken):  # else others took it over
                self.acknowledged.add(tag)
            worker.consumer.ack(tag)
            self.meet(name, True, fate)

    @rule(name=HANDS, choice=st.integers(0, ROOM), fate=FATES)
    def requeue(self, name: str, choice: int, fate: str) -> None:
        worker = self.workers[name]
        if tags := worker.idle():
            tag = tags[choice % len(tags)]
            del worker.running[tag]
            worker.consumer.requeue(tag)
            self.meet(name, True, fate)

    @rule(name=HANDS)
    def repeat(self, name: str) -> None:
        self.workers[name].consumer.lists.repeat_lost()
        self.turn()

    @rule(name=HANDS)
    def crash(self, name: str) -> None:
        self.lapsed.append(self.workers[name].consumer.worker)
        self.workers[name].die()
        self.workers[name] = Worker(self, name)
        self.turn()

    @rule(name=HANDS)
    def lapse(self, name: str) -> None:
        """The server sees no heartbeat of a living worker for a while, and another one takes its messages over."""
        self.take_over([self.workers[name].consumer.worker])

    @rule()
    def take_over_from_the_dead(self) -> None:
        self.take_over(self.lapsed)
        self.lapsed = []

    def take_over(self, names: list[str]) -> None:
        now = self.store.time()[0]
        # Everybody else has renewed its lease.
        self.store.zadd("workers", {worker.consumer.worker: now for worker in self.workers.values()})
        for name in names:
            for item in self.store.lrange(commands.processing_list(name, QUEUE), 0, -1):
                self.acknowledged.discard(json.loads(item)["properties"]["delivery_tag"])
            self.store.zadd("workers", {name: now - commands.LEASE_SECONDS - 1})
        self.store.eval(commands.REQUEUE_EXPIRED, 0, "", QUEUE)

    @rule()
    def time_passes(self) -> None:
        for key in self.store.keys("done:*"):
            if self.store.ttl(key) <= settlement.KEPT:
                self.store.delete(key)

    # --- What must be so

    @invariant()
    def each_message_is_in_one_place_until_it_is_settled(self) -> None:
        where = self.where()
        assert not self.faults
        assert all(count == 1 for count in where.values()), where
        missing = set(self.published) - set(where)
        assert missing <= self.settled | self.acknowledged, "it is lost"

    def teardown(self) -> None:
        """With nothing lost any more every message ends."""
        try:
            self.take_over(self.lapsed)
            for _ in range(400):
                for worker in self.workers.values():
                    for road in (worker.commands, worker.consuming):
                        while road.arrive() or road.return_():
                            self.turn()
                    worker.consumer.lists.repeat_lost()
                    for tag in worker.idle():
                        worker.settle(tag)
                    self.turn()
                if not self.where() and not any(worker.running for worker in self.workers.values()):
                    break
            assert not self.where()
            assert not self.faults
            assert set(self.sent) == set(self.published) == self.settled | self.acknowledged
        finally:
            for worker in self.workers.values():
                worker.die()
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()
            self.patch.undo()
            self.store.close()


def test_no_message_is_lost_and_none_that_was_settled_is_sent_again(valkey_url: str) -> None:
    # Not shrunk: what fails is short enough to read, and to find the shortest takes minutes.
    generate = [phase for phase in Phase if phase is not Phase.shrink]
    run_state_machine_as_test(
        lambda: QueueProtocol(valkey_url),
        settings=settings(max_examples=25, stateful_step_count=50, deadline=None, phases=generate),
    )
