"""Histogram buckets of latencies: logarithmic, within 5 %, from 1 ms to 60 s, with exact edges at 1, 3 and 5 s. Pure.

Percentiles do not add up, counts in buckets do. Bucket n holds the latencies from EDGES[n - 1] on and below EDGES[n]
(bucket 0: below 1 ms; the last one: a week and more). Above 60 s, where only a phone that was off comes to, buckets are
coarse. A histogram is stored sparsely, as a list of numbers `count * 256 + bucket`, the lowest bucket first.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from itertools import accumulate, pairwise
from typing import Final

RATIO: Final = 1.1
_EXACT: Final = (1, 1_000, 3_000, 5_000, 60_000)
# Up to here each millisecond is a bucket: a tenth of it would be less than one.
FINE: Final = 21
_BEYOND: Final = (120_000, 300_000, 900_000, 3_600_000, 21_600_000, 86_400_000, 604_800_000)
SLOTS: Final = 256
_SLOT, _SLOT_BITS = SLOTS - 1, 8
# Characters of stored histograms, a few hundred numbers, up to which it is kept what they add up to; and of how many
# that is: 8 MB. A page that asks again reads the same steps.
KEPT_LENGTH, KEPT_MOST = 2_000, 2_000
# Entries of histograms that are kept with what they say, at 150 bytes each.
NUMBERS_MOST: Final = 20_000


def _edges() -> tuple[int, ...]:
    edges = set(range(1, FINE + 1))
    for low, high in pairwise(_EXACT):
        parts = math.ceil(math.log(high / low) / math.log(RATIO))
        steps = (round(low * (high / low) ** (part / parts)) for part in range(1, parts + 1))
        edges.update(step for step in steps if step > FINE)
    return (*sorted(edges), *_BEYOND)


EDGES: Final = _edges()
"""Milliseconds at which a new bucket begins, ascending."""

Histogram = dict[int, int]
"""How many latencies there are in a bucket, by its number."""


def bucket_of(milliseconds: int) -> int:
    """The number of the bucket that a latency falls into, as PostgreSQL's width_bucket(milliseconds, EDGES)."""
    return bisect_right(EDGES, milliseconds)


def add(into: Histogram, packed: Iterable[int]) -> None:
    """Add a stored histogram to one in memory."""
    get = into.get
    for entry in packed:
        bucket = entry & _SLOT
        into[bucket] = get(bucket, 0) + (entry >> _SLOT_BITS)


def add_up(into: Histogram, more: Mapping[int, int]) -> None:
    """Add one histogram in memory to another."""
    get = into.get
    for bucket, count in more.items():
        into[bucket] = get(bucket, 0) + count


def of_text(joined: str) -> Mapping[int, int]:
    """The histogram of many stored ones together, their numbers joined by commas; not to be changed."""
    return (_kept if len(joined) <= KEPT_LENGTH else _of_text)(joined)


def _of_text(joined: str) -> Histogram:
    found: Histogram = {}
    if not joined:
        return found
    get = found.get
    # Many are alike, and counting texts is quicker than adding up numbers.
    texts = Counter(joined.split(","))
    for (bucket, count), times in zip(map(_NUMBERS.__getitem__, texts), texts.values(), strict=True):
        found[bucket] = get(bucket, 0) + count * times
    return {bucket: count for bucket, count in found.items() if count} if 0 in found.values() else found


_kept = lru_cache(maxsize=KEPT_MOST)(_of_text)


class _Numbers(dict[str, tuple[int, int]]):
    """The bucket and the count of an entry by its text, each read once: most counts are small. Bounded."""

    def __missing__(self, text: str) -> tuple[int, int]:
        entry = int(text)
        found = entry & _SLOT, entry >> _SLOT_BITS
        if len(self) < NUMBERS_MOST:
            self[text] = found
        return found


_NUMBERS: Final = _Numbers()


def pack(histogram: Mapping[int, int]) -> list[int]:
    """A histogram as it is stored."""
    return [count * SLOTS + bucket for bucket, count in sorted(histogram.items()) if count]


def within(histogram: Mapping[int, int], milliseconds: int) -> int:
    """How many took less than this; exact where it is one of the edges. Raises ValueError where it is none."""
    if milliseconds not in EDGES:
        raise ValueError(f"{milliseconds} ms is no edge of a bucket")
    last = bucket_of(milliseconds) - 1
    return sum(count for bucket, count in histogram.items() if bucket <= last)


def percentile(histogram: Mapping[int, int], share: float) -> int | None:
    """The latency in milliseconds below which this share (0 to 1) lies, within 5 %; None where there is none.

    The middle of its bucket, by its logarithm; the last edge for what took longer than that.
    """
    return percentiles(histogram, (share,))[0]


def percentiles(histogram: Mapping[int, int], shares: Sequence[float]) -> tuple[int | None, ...]:
    """The latencies below which these shares lie, which ascend; see percentile()."""
    if not histogram:
        return (None,) * len(shares)
    ascending = sorted(histogram)
    passed = list(accumulate(map(histogram.__getitem__, ascending)))
    total = passed[-1]
    if not total:
        return (None,) * len(shares)
    return tuple(_middle(ascending[bisect_left(passed, share * total)]) for share in shares)


def bounds(milliseconds: int) -> tuple[int, int | None]:
    """From which latency on, and below which one, the bucket has it that this one falls into; None: there is no end."""
    bucket = bucket_of(milliseconds)
    return EDGES[bucket - 1] if bucket else 0, EDGES[bucket] if bucket < len(EDGES) else None


@cache
def _middle(bucket: int) -> int:
    if bucket == 0:
        return 0
    if bucket == len(EDGES):
        return EDGES[-1]
    return round(math.sqrt(EDGES[bucket - 1] * EDGES[bucket]))
