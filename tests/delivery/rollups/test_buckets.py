"""The buckets of latencies: exact where the promise has its marks, within a twentieth elsewhere, and they add up."""

import math
import random
from itertools import pairwise

import pytest
from django.db import connection
from hypothesis import example, given
from hypothesis import strategies as st

from delivery.rollups import buckets
from delivery.rollups.buckets import EDGES, Histogram

LATENCIES = st.lists(st.integers(-1_000, 59_999), min_size=1, max_size=80)


def histogram(latencies: list[int]) -> Histogram:
    made: Histogram = {}
    for latency in latencies:
        bucket = buckets.bucket_of(latency)
        made[bucket] = made.get(bucket, 0) + 1
    return made


def test_the_edges_ascend_and_a_bucket_is_a_tenth_wide_at_most() -> None:
    assert list(EDGES) == sorted(set(EDGES))
    assert len(EDGES) < buckets.SLOTS - 1
    for low, high in pairwise(edge for edge in EDGES if edge <= 60_000):
        # Latencies are whole milliseconds: the last one of a bucket is below its edge.
        assert (high - 1) / low < 1.1, (low, high)


@pytest.mark.parametrize("mark", [1_000, 3_000, 5_000, 60_000])
def test_at_the_marks_of_the_promise_it_is_exact_to_the_millisecond(mark: int) -> None:
    assert buckets.within(histogram([mark - 1, mark, mark + 1]), mark) == 1


def test_within_is_refused_where_it_would_be_about() -> None:
    with pytest.raises(ValueError, match="2900 ms is no edge"):
        buckets.within({}, 2_900)


@example([36], 0.5)
@example([144], 0.5)
@given(LATENCIES, st.sampled_from([0.0, 0.5, 0.95, 0.99, 1.0]))
def test_a_percentile_is_within_a_twentieth(latencies: list[int], share: float) -> None:
    exact = sorted(latencies)[max(0, math.ceil(share * len(latencies)) - 1)]
    found = buckets.percentile(histogram(latencies), share)
    assert found is not None
    # Edges and middles are whole milliseconds.
    assert abs(found - max(0, exact)) <= 1 + 0.05 * max(0, exact)


def test_of_nothing_there_is_no_percentile_and_beyond_the_last_edge_it_is_that() -> None:
    assert buckets.percentile({}, 0.5) is None
    assert buckets.percentile(histogram([EDGES[-1] * 9]), 0.5) == EDGES[-1]


@given(st.lists(LATENCIES, max_size=5))
def test_histograms_add_up(parts: list[list[int]]) -> None:
    total: Histogram = {}
    for part in parts:
        buckets.add(total, buckets.pack(histogram(part)))
    assert total == histogram([latency for part in parts for latency in part])


@given(st.lists(LATENCIES, min_size=1, max_size=5))
def test_histograms_that_are_joined_as_text_add_up(parts: list[list[int]]) -> None:
    packed = [str(entry) for part in parts for entry in buckets.pack(histogram(part))]
    assert buckets.of_text(",".join(packed)) == histogram([latency for part in parts for latency in part])


def test_what_an_erasure_takes_back_is_no_part_of_what_is_joined() -> None:
    # As delivery/log/erasing.py writes it: the same buckets, their counts below zero.
    joined = f"{2 * 256 + 7},{256 + 3},{-256 + 3},{-256 + 7}"
    assert buckets.of_text(joined) == {7: 1}
    assert buckets.of_text(",".join([joined] * buckets.KEPT_LENGTH)) == {7: buckets.KEPT_LENGTH}


def test_what_is_kept_of_histograms_has_a_bound() -> None:
    for number in range(buckets.NUMBERS_MOST + 10):
        buckets.of_text(str(number * 256 + 1))
    assert len(buckets._NUMBERS) <= buckets.NUMBERS_MOST
    assert buckets._kept.cache_info().currsize <= buckets.KEPT_MOST
    assert buckets.of_text(f"{10**9 * 256 + 5}") == {5: 10**9}, "one of which nothing is kept"


def test_what_is_packed_is_sparse_and_ascends() -> None:
    assert buckets.pack({7: 2, 3: 1, 5: 0}) == [256 + 3, 2 * 256 + 7]


@pytest.mark.django_db
@given(
    st.lists(st.one_of(st.sampled_from([edge + by for edge in EDGES for by in (-1, 0, 1)]), st.integers(-9, 2**31 - 1)))
)
@example([*EDGES])
def test_the_database_has_the_same_buckets(latencies: list[int]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT width_bucket(ms, %s::int[]) FROM unnest(%s::int[]) WITH ORDINALITY AS t (ms, n) ORDER BY n",
            [list(EDGES), latencies],
        )
        assert [bucket for (bucket,) in cursor.fetchall()] == [buckets.bucket_of(latency) for latency in latencies]


def test_the_marks_of_random_latencies_are_counted_exactly() -> None:
    latencies = [random.randrange(10_000) for _ in range(5_000)]  # noqa: S311
    for mark in (1_000, 3_000, 5_000):
        assert buckets.within(histogram(latencies), mark) == sum(latency < mark for latency in latencies)
