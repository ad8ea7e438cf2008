"""The due list: a push is there until its one row is written, whoever claims it and whoever dies."""

import time
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
import redis
from hypothesis import Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from delivery.log.rows import ROWS
from delivery.queue import batch, due_list, ledger, told
from delivery.queue.due_list import Claim
from delivery.worker import settlement
from delivery.worker.settlement import Deferred

BATCH = "abcdef:7"


@pytest.fixture
def store(valkey_url: str) -> redis.Redis:
    """An empty Valkey."""
    made = redis.Redis.from_url(valkey_url)
    made.flushdb()
    return made


def run(store: redis.Redis, packed: bytes) -> Any:
    """Do a packed command."""
    parts, rest = [], packed[packed.index(b"\r\n") + 2 :]
    while rest:
        length, _, rest = rest[1:].partition(b"\r\n")
        parts.append(rest[: int(length)])
        rest = rest[int(length) + 2 :]
    return store.execute_command(*parts)


def defer(store: redis.Redis, *ids: str, due_ms: int = 0, last: bool = True, batch_id: str = BATCH) -> Any:
    """Move pushes out of a batch."""
    deferred = [Deferred(place, id_, due_ms, b"sealed " + id_.encode()) for place, id_ in enumerate(ids)]
    return run(
        store,
        settlement.command(
            batch_id, [], b"", whole=False, last=last, by_name=False, deferred=deferred, keep=bool(deferred)
        ),
    )


def claim(store: redis.Redis, most: int = 100, most_bytes: int = 1_000_000) -> list[tuple[Claim, bytes]]:
    """Claim what is due."""
    _, value, pushes = due_list.claimed(store.execute_command(*due_list.claiming(most, most_bytes)))
    return [(Claim(id_, value, BATCH, 0), sealed) for id_, sealed in pushes]


def end(store: redis.Redis, claimed: Claim, row: bytes = b"row\n", mark: bytes = b"", reply: bytes = b"") -> Any:
    """End a push."""
    return run(store, due_list.ending(claimed._replace(mark=mark), ROWS, row, reply))


def in_bytes(store: redis.Redis) -> int:
    """What the list counts."""
    return int(store.get(due_list.BYTES) or 0)  # type: ignore[arg-type]


def test_a_push_leaves_its_batch_and_waits_for_its_time(store: redis.Redis) -> None:
    later = int(store.time()[0]) * 1000 + 60_000
    assert defer(store, "one", due_ms=later) == 1
    assert (store.zscore(due_list.DUE, "one"), store.hget(due_list.ITEMS, "one")) == (later, b"sealed one")
    assert settlement.settled_before(store.get(batch.progress_key(BATCH)), 0)  # type: ignore[arg-type]
    assert not claim(store)


def test_a_batch_keeps_its_mark_as_long_as_its_pushes_may_wait(store: redis.Redis) -> None:
    defer(store, "one")
    assert 3500 < int(store.ttl(batch.progress_key(BATCH))) <= 3600  # type: ignore[arg-type]
    defer(store, "two", last=False, batch_id="abcdef:8")
    assert int(store.ttl(batch.progress_key("abcdef:8"))) > settlement.BEGUN - 60  # type: ignore[arg-type]


def test_a_push_is_deferred_once_however_often_its_batch_is_settled(store: redis.Redis) -> None:
    defer(store, "one", last=False)
    ((claimed, _),) = claim(store)
    end(store, claimed)
    defer(store, "one", last=False)
    assert (store.zcard(due_list.DUE), in_bytes(store), store.llen(ROWS)) == (0, 0, 1)


def test_what_ended_in_the_same_settlement_has_its_row(store: redis.Redis) -> None:
    deferred = [Deferred(1, "one", 0, b"sealed")]
    run(
        store,
        settlement.command(
            BATCH, [(0, b"row\n")], b"reply", whole=False, last=True, by_name=False, deferred=deferred, keep=True
        ),
    )
    assert store.lrange(ROWS, 0, -1) == [b"row\n"]
    assert store.zrange(due_list.DUE, 0, -1) == [b"one"]


def test_a_claimed_push_is_nobody_elses_until_its_claim_lapses(store: redis.Redis) -> None:
    defer(store, "one", "two")
    assert len(claim(store, most=1)) == 1
    assert [claimed.id for claimed, _ in claim(store)] == ["two"]
    assert not claim(store)
    assert store.zrangebyscore(due_list.DUE, int(store.time()[0]) * 1000, "+inf") == [b"one", b"two"]


def test_a_claim_takes_no_more_bytes_than_asked_for_but_one_push_in_any_case(store: redis.Redis) -> None:
    defer(store, "one", "two")
    assert [claimed.id for claimed, _ in claim(store, most_bytes=1)] == ["one"]


def test_a_push_ends_with_one_row_and_leaves_nothing(store: redis.Redis) -> None:
    defer(store, "one")
    ((claimed, sealed),) = claim(store)
    assert (sealed, end(store, claimed, reply=b"result"), end(store, claimed)) == (b"sealed one", 1, 1)
    assert store.lrange(ROWS, 0, -1) == [b"row\n"]
    assert store.lrange(batch.reply_key("abcdef"), 0, -1) == [b"result"]
    assert not store.exists(due_list.DUE, due_list.ITEMS)
    assert in_bytes(store) == 0


def test_a_push_whose_server_was_told_something_has_that_in_its_row(store: redis.Redis) -> None:
    defer(store, "one")
    run(store, told.marking(BATCH, told.OK))
    ((claimed, _),) = claim(store)
    assert end(store, claimed) == told.OK
    assert not store.exists(ROWS)
    assert end(store, claimed, mark=told.OK) == 1


def test_a_push_that_waits_again_takes_the_mark_of_its_batch_with_it(store: redis.Redis) -> None:
    defer(store, "one")
    run(store, told.marking(BATCH, told.OK))
    ((claimed, _),) = claim(store)
    assert run(store, due_list.postponing(claimed, 5, b"sealed")) == told.OK
    assert store.hget(due_list.ITEMS, "one") == b"sealed one"
    assert run(store, due_list.postponing(claimed._replace(mark=told.OK), 5, b"sealed")) == 1
    store.delete(batch.progress_key(BATCH))
    ((claimed, _),) = claim(store)
    assert end(store, claimed, mark=told.OK) == 1


def test_a_mark_makes_the_progress_of_a_finished_batch_last_no_longer(store: redis.Redis) -> None:
    defer(store, "one")
    run(store, told.marking(BATCH, told.OK))
    assert 0 < int(store.ttl(batch.progress_key(BATCH))) <= 3600  # type: ignore[arg-type]


def test_a_lapsed_claim_postpones_nothing(store: redis.Redis) -> None:
    defer(store, "one")
    ((first, _),) = claim(store)
    store.zadd(due_list.DUE, {"one": 1})
    time.sleep(0.002)  # a claim lapses in more
    ((second, _),) = claim(store)
    assert run(store, due_list.postponing(first, 5, b"sealed again")) == 0
    assert run(store, due_list.postponing(second, 5, b"sealed again")) == 1
    assert (store.zscore(due_list.DUE, "one"), store.hget(due_list.ITEMS, "one")) == (5, b"sealed again")
    assert in_bytes(store) == len(b"sealed again")


def test_what_no_key_opens_is_put_aside_and_is_lost(store: redis.Redis) -> None:
    defer(store, "one")
    ((claimed, _),) = claim(store)
    assert run(store, due_list.putting_aside(claimed, ROWS, b"row\n")) == 1
    assert run(store, due_list.putting_aside(claimed, ROWS, b"row\n")) == 0
    assert store.lrange(due_list.UNREADABLE, 0, -1) == [b"sealed one"]
    assert (store.zcard(due_list.DUE), in_bytes(store)) == (0, 0)
    assert (store.lrange(ROWS, 0, -1), store.hget(ledger.STATE, "lost")) == ([b"row\n"], b"1")


def test_what_stands_there_without_its_item_is_lost_and_is_said_to_be(store: redis.Redis) -> None:
    defer(store, "one", "two")
    store.hdel(due_list.ITEMS, "one")
    assert [(claimed.id, sealed) for claimed, sealed in claim(store)] == [("one", b""), ("two", b"sealed two")]
    assert (store.zrange(due_list.DUE, 0, -1), store.hget(ledger.STATE, "lost")) == ([b"two"], b"1")


def test_it_works_when_valkeys_memory_is_full(store: redis.Redis) -> None:
    before = store.config_get("maxmemory")["maxmemory"]  # type: ignore[index]
    defer(store, "one")
    store.config_set("maxmemory", "1")
    try:
        ((claimed, _),) = claim(store)
        assert run(store, due_list.postponing(claimed, 1, b"again")) == 1
        ((claimed, _),) = claim(store)
        assert end(store, claimed) == 1
        assert defer(store, "two", batch_id="abcdef:8") == 1
    finally:
        store.config_set("maxmemory", before)


class DueProtocol(RuleBasedStateMachine):
    """Pushes come in batches, workers claim, die, come late and repeat what they did, in any order."""

    def __init__(self, store: redis.Redis) -> None:
        super().__init__()
        self.store = store
        store.flushdb()
        self.deferred: list[str] = []
        self.claims: list[Claim] = []  # lapsed ones, too
        self.held: dict[str, bytes] = {}

    @rule(count=st.integers(1, 3), again=st.booleans())
    def come(self, count: int, again: bool) -> None:
        """A batch leaves pushes here; perhaps its worker dies before the reply, and another does the same."""
        if len(self.deferred) > 12:
            return
        ids = [f"push{len(self.deferred) + number}" for number in range(count)]
        for _ in range(1 + again):
            defer(self.store, *ids, batch_id=f"abcdef:{len(self.deferred)}")
        self.deferred += ids

    @rule(most=st.integers(1, 4))
    def take(self, most: int) -> None:
        for claimed, _ in claim(self.store, most):
            assert claimed.id not in self.held, "two have it in hands"
            self.held[claimed.id] = claimed.claim
            self.claims.append(claimed)

    @rule(choice=st.integers(0, 100))
    def lapse(self, choice: int) -> None:
        """Whoever has it is dead, or slow."""
        if self.held:
            id_ = sorted(self.held)[choice % len(self.held)]
            self.store.zadd(due_list.DUE, {id_: 1}, xx=True)
            del self.held[id_]
            time.sleep(0.002)  # it takes more

    @rule(choice=st.integers(0, 100), times=st.integers(1, 2))
    def postpone(self, choice: int, times: int) -> None:
        if self.claims:
            claimed = self.claims[choice % len(self.claims)]
            is_mine = self.held.get(claimed.id) == claimed.claim
            assert run(self.store, due_list.postponing(claimed, 1, b"longer sealed")) == is_mine
            if is_mine:
                del self.held[claimed.id]
            if times == 2:
                assert run(self.store, due_list.postponing(claimed, 1, b"longer sealed")) == 0

    @rule(choice=st.integers(0, 100), times=st.integers(1, 2))
    def finish(self, choice: int, times: int) -> None:
        if self.claims:
            claimed = self.claims[choice % len(self.claims)]
            for _ in range(times):
                end(self.store, claimed, row=claimed.id.encode())
            self.held.pop(claimed.id, None)

    @invariant()
    def each_push_is_here_or_has_its_one_row(self) -> None:
        rows = [row.decode() for row in self.store.lrange(ROWS, 0, -1)]  # type: ignore[union-attr]
        waiting = {id_.decode() for id_ in self.store.zrange(due_list.DUE, 0, -1)}  # type: ignore[union-attr]
        items = self.store.hgetall(due_list.ITEMS)
        assert len(rows) == len(set(rows))
        assert waiting == {id_.decode() for id_ in items}  # type: ignore[union-attr]
        assert set(rows) | waiting == set(self.deferred)
        assert not set(rows) & waiting
        assert in_bytes(self.store) == sum(map(len, items.values()))  # type: ignore[union-attr]


def test_no_push_is_lost_or_has_two_rows_whatever_order_things_happen_in(valkey_url: str) -> None:
    store = redis.Redis.from_url(valkey_url)
    generate = [phase for phase in Phase if phase is not Phase.shrink]
    make: Callable[[], DueProtocol] = lambda: DueProtocol(store)  # noqa: E731
    run_state_machine_as_test(
        make, settings=settings(max_examples=30, stateful_step_count=40, deadline=None, phases=generate)
    )
