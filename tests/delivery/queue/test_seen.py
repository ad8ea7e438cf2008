"""The memory of the last day's pushes, against a model of it."""

import random
from typing import Any

import pytest
import redis

from delivery.outcomes import judge
from delivery.protocol.wire import Push
from delivery.queue import batch, seen

KEY = b"k" * 32


def name(number: int) -> bytes:
    """The digest of one push."""
    return seen.digest(1, 2, Push(device_id="d", ack_id=f"a{number}", type="message"), KEY)


def note(store: redis.Redis, *digests: bytes, most: int = 64, batch_id: str = "p:1", first: bool = False) -> Any:
    """Publish a batch of these; returns which were accepted before."""
    script = store.script_load(seen.loading()[2])
    store.lpush(batch.QUEUE, f'{{"redelivered":false}} {batch_id}')
    keys = (batch.progress_key(batch_id), batch.QUEUE, batch.payload_key(batch_id))
    return seen.repeats(store.evalsha(script, 3, *keys, b"".join(digests), most, "known" if first else "", "queue"))


def mark(store: redis.Redis, digest: bytes, state: int) -> None:
    """Say how a push ended."""
    store.eval(seen._MARK, 0, b"%b%d" % (digest, state))


def state(store: redis.Redis, digest: bytes) -> int:
    """What is known of a push, -1 for nothing."""
    return int(store.execute_command(*seen.looking([digest]))[0])


def test_what_was_accepted_is_recognised_with_what_became_of_it(store: redis.Redis) -> None:
    assert note(store, name(1), name(2)) == []
    mark(store, name(2), seen.GONE)
    assert note(store, name(3), name(2), name(1)) == [(1, seen.GONE, 0), (2, seen.ACCEPTED, 0)]
    assert [state(store, name(number)) for number in (1, 2, 3, 4)] == [0, 1, 0, -1]


def test_what_failed_is_new_and_what_may_arrive_is_not(store: redis.Redis) -> None:
    note(store, name(1), name(2))
    mark(store, name(1), seen.FAILED)
    mark(store, name(2), seen.UNCERTAIN)
    assert note(store, name(1), name(2)) == [(1, seen.UNCERTAIN, 0)]
    assert state(store, name(1)) == seen.ACCEPTED


def test_a_day_later_it_is_new(store: redis.Redis) -> None:
    note(store, name(1))
    key = b"seen:" + name(1)[:2]
    value = store.get(key)
    assert isinstance(value, bytes)
    seconds = int.from_bytes(value[6:], "big") >> 2
    for age, again in ((seen.WINDOW - 60, 1), (seen.WINDOW + 60, 0)):
        store.setrange(key, 6, ((seconds - age) % (1 << 22) << 2).to_bytes(3, "big"))
        assert len(note(store, name(1))) == again


def test_a_batch_that_is_published_again_is_no_repeat_of_itself(store: redis.Redis) -> None:
    note(store, name(1))
    mark(store, name(1), seen.UNCERTAIN)
    assert note(store, name(1), name(2), first=True) == []
    assert (state(store, name(1)), state(store, name(2))) == (seen.UNCERTAIN, seen.ACCEPTED)


def test_a_message_of_nothing_new_is_taken_off_the_list(store: redis.Redis) -> None:
    note(store, name(1))
    store.set(batch.payload_key("p:2"), "sealed")
    assert len(note(store, name(1), batch_id="p:2")) == 1
    assert store.llen(batch.QUEUE) == 1
    assert not store.exists(batch.payload_key("p:2"), batch.progress_key("p:2"))


def test_a_string_has_a_bound_and_the_oldest_go_first(store: redis.Redis) -> None:
    digests = [b"ab" + number.to_bytes(6, "big") for number in range(1, 1000)]
    for digest in digests:
        note(store, digest, most=40)
    assert store.strlen("seen:ab") <= 40 * 9
    kept = [digest for digest in digests if state(store, digest) == seen.ACCEPTED]
    assert kept == digests[-len(kept) :]
    assert len(kept) >= 30


def test_a_name_is_found_only_where_a_record_begins(store: redis.Redis) -> None:
    store.set("seen:ab", b"x" * 3 + b"fedcba" + b"y" * 9)
    assert state(store, b"abfedcba") == -1
    store.append("seen:ab", b"fedcba" + bytes(3))
    assert state(store, b"abfedcba") == seen.ACCEPTED


@pytest.mark.parametrize("seed", range(5))
def test_any_order_of_pushes_and_ends_is_what_a_plain_table_says(store: redis.Redis, seed: int) -> None:
    choose, model = random.Random(seed), dict[int, int]()  # noqa: S311  to be repeated
    for round_ in range(60):
        numbers = choose.sample(range(40), choose.randrange(1, 6))
        known = [(place, model[n], 0) for place, n in enumerate(numbers) if model.get(n, seen.FAILED) != seen.FAILED]
        found = note(store, *map(name, numbers), batch_id=f"p:{round_}")
        assert [(place, state) for place, state, _ in found] == [(place, state) for place, state, _ in known]
        model.update({n: seen.ACCEPTED for n in numbers if model.get(n, seen.FAILED) == seen.FAILED})
        ended, model[ended] = choose.choice(list(model)), choose.randrange(4)
        mark(store, name(ended), model[ended])


def test_a_test_and_a_push_without_an_ack_id_have_no_name() -> None:
    for push in (Push(device_id="d", ack_id="a", type="test"), Push(device_id="d", type="message")):
        assert seen.digest(1, 2, push, KEY) is seen.NONE


def test_a_batch_without_names_costs_no_command() -> None:
    assert seen.noting("p:1", [seen.NONE] * 3, "list", 64, in_queue=True, surely_first=False) == b""


@pytest.mark.parametrize(
    ("code", "wanted"), [("no_app", seen.FAILED), ("queue_down", seen.FAILED), ("internal_error", seen.FAILED)]
)
def test_refusals_of_ours_may_be_tried_anew(code: str, wanted: int) -> None:
    assert seen.state_of(judge.refusal(code)) == wanted


def test_the_bound_is_a_part_of_valkeys_memory() -> None:
    assert seen.records_most(None) == seen.MOST_UNKNOWN
    assert seen.records_most(0) == seen.MOST
    assert seen.records_most(1 << 40) == seen.MOST
    assert seen.records_most(1) == seen.FEWEST
    assert seen.records_most(1 << 30) * seen.BYTES_A_RECORD <= (1 << 30) // seen.SHARE


@pytest.mark.parametrize("indexes", [[0], [7, 8], [0, 3, 199], list(range(20))])
def test_progress_is_as_valkeys_bits_are(store: redis.Redis, indexes: list[int]) -> None:
    for index in indexes:
        store.setbit("done", batch.progress_bit(index), 1)
    assert store.get("done") == seen.progress(indexes)
