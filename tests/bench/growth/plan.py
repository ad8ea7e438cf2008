"""What a grown service looks like: how many rows, of whom, when. Pure, and the same for the same seed."""

import bisect
import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

DAY: Final = timedelta(days=1)
# The share of the largest customer; the others follow a power law, so that most are small.
LARGEST: Final = 0.2
EXPONENT: Final = 0.9
# Pushes of a day by the hour, in UTC: an office's, with a lunch.
HOURS: Final = (2, 1, 1, 1, 2, 4, 12, 40, 80, 95, 100, 90, 70, 90, 100, 95, 85, 60, 40, 25, 18, 12, 8, 4)
WEEKEND: Final = 0.25
# Pushes that a device gets in all: as many as one gets in a month or so.
PUSHES_A_DEVICE: Final = 40
# Bytes on the disk that a push takes: its row, its indexes, its receipt, its share of the rollups, and PostgreSQL's
# own log of it; measured with 1 and 10 million.
BYTES_A_ROW: Final = 1_600
RESERVE: Final = 4 << 30


class Plan(NamedTuple):
    """A size: rows of the log in all, customers, days up to `end`."""

    rows: int
    customers: int
    days: int
    end: datetime
    seed: int = 1

    @property
    def disk(self) -> int:
        """Bytes of disk that it needs, with what must stay free."""
        return self.rows * BYTES_A_ROW + RESERVE

    def weights(self) -> list[float]:
        """The share of each customer, the largest first; they add up to 1."""
        if self.customers == 1:
            return [1.0]
        rest = [1 / (place + 2) ** EXPONENT for place in range(self.customers - 1)]
        total = sum(rest)
        return [LARGEST, *((1 - LARGEST) * each / total for each in rest)]

    def devices(self) -> list[int]:
        """How many devices each customer has."""
        return [max(2, round(self.rows * weight / PUSHES_A_DEVICE)) for weight in self.weights()]

    def days_of(self) -> "list[Day]":
        """The days, the oldest first; the last one ends at `end`."""
        last = self.end.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        starts = [last - DAY * back for back in range(self.days - 1, -1, -1)]
        sizes = [_size(start, self.end) for start in starts]
        total = sum(sizes)
        rows = [round(self.rows * size / total) for size in sizes]
        rows[-1] += self.rows - sum(rows)
        return [Day(start, min(start + DAY, self.end), count) for start, count in zip(starts, rows, strict=True)]


class Day(NamedTuple):
    """A day, until when there are pushes of it, and how many."""

    start: datetime
    end: datetime
    rows: int

    def seconds(self, random_: random.Random, count: int) -> list[float]:
        """Seconds since the day's start at which something happens, ascending."""
        span = (self.end - self.start).total_seconds()
        edges = [hour * 3600.0 for hour in range(24) if hour * 3600.0 < span]
        weights = [HOURS[hour] * min(1.0, (span - edge) / 3600) for hour, edge in enumerate(edges)]
        chosen = random_.choices(edges, weights, k=count)
        return sorted(edge + random_.random() * min(3600.0, span - edge) for edge in chosen)


class Picker:
    """Draws places by their weights, quicker than random.choices() does one by one."""

    def __init__(self, weights: list[float]) -> None:
        """The weights add up to 1."""
        self._sums = list(itertools.accumulate(weights))

    def pick(self, draw: float) -> int:
        """The place that a number from 0 to 1 falls to."""
        return min(bisect.bisect(self._sums, draw), len(self._sums) - 1)


def _size(start: datetime, end: datetime) -> float:
    """How many pushes a day has, by a measure of its own: less at the weekend, and until `end`."""
    hours = (min(start + DAY, end) - start).total_seconds() / 3600
    passed = sum(weight * max(0.0, min(1.0, hours - hour)) for hour, weight in enumerate(HOURS))
    return max(passed, 0.001) * (WEEKEND if start.weekday() >= 5 else 1.0)
