"""The table of the last day's pushes in a web process's memory, against a plain one."""

import random

import pytest

from delivery.ingest import seen_table
from delivery.ingest.seen_table import SeenTable
from delivery.queue import seen

NOW = 1_800_000_000


def record(digest: bytes, state: int = seen.ACCEPTED, at: float = NOW) -> bytes:
    """What stands in the log."""
    return digest + seen.stamp(at, state)


def test_a_table_has_a_bound_and_the_oldest_go_first() -> None:
    table = SeenTable(most=40)
    digests = [b"ab" + number.to_bytes(6, "big") for number in range(1, 1000)]
    for digest in digests:
        table.put(record(digest))
        assert len(table) <= 40
    kept = [digest for digest in digests if table.find(digest, NOW)]
    assert kept == digests[-len(kept) :]
    assert len(kept) >= 30


def test_a_bound_that_sinks_is_kept_to() -> None:
    table = SeenTable(most=100)
    for number in range(100):
        table.put(record(b"ab" + number.to_bytes(6, "big")))
    table.most = 40
    table.put(record(b"abnewest"))
    assert len(table) == 31
    assert table.find(b"abnewest", NOW)


def test_a_name_is_found_only_where_a_record_begins() -> None:
    table = SeenTable(most=40)
    table.put(b"abxxxfed" + b"cba" + record(b"abyyyyyy"))
    assert table.find(b"abfedcba", NOW) is None
    table.put(record(b"abfedcba"))
    assert table.find(b"abfedcba", NOW) == (seen.ACCEPTED, 0)


def test_a_day_later_a_push_is_new_and_gone_with_the_next_sweep() -> None:
    table = SeenTable(most=40)
    table.put(record(b"abxxxxxx") + record(b"abyyyyyy", at=NOW + 60))
    assert table.find(b"abxxxxxx", NOW + seen.WINDOW - 60) == (seen.ACCEPTED, seen.WINDOW - 60)
    assert table.find(b"abxxxxxx", NOW + seen.WINDOW + 30) is None
    table.sweep(seen_table.BUCKETS, NOW + seen.WINDOW + 30)
    assert len(table) == 1
    assert table.find(b"abyyyyyy", NOW + 60) == (seen.ACCEPTED, 0)


def test_a_time_that_is_ahead_of_ours_is_now() -> None:
    table = SeenTable(most=40)
    table.put(record(b"abxxxxxx", at=NOW + 2))
    assert table.find(b"abxxxxxx", NOW) == (seen.ACCEPTED, 0)


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_records_is_what_a_plain_table_says(seed: int) -> None:
    choose, model, table = random.Random(seed), dict[bytes, tuple[int, int]](), SeenTable(most=seen.MOST)  # noqa: S311
    for _ in range(200):
        digests = [b"%b%06d" % (choose.choice((b"ab", b"cd")), choose.randrange(60)) for _ in range(4)]
        states = [choose.randrange(4) for _ in digests]
        age = choose.randrange(1000)
        table.put(b"".join(record(digest, state, NOW - age) for digest, state in zip(digests, states, strict=True)))
        model.update((digest, (state, age)) for digest, state in zip(digests, states, strict=True))
    assert {digest: table.find(digest, NOW) for digest in model} == model
    assert len(table) == len(model)
