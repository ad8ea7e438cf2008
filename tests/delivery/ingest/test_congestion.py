"""How many pushes a customer may have under way in a congested process."""

from delivery.ingest.congestion import INTERVAL, LEAST, TARGET, UNLIMITED, Congestion

FLOOD, LARGE, QUIET = 1, 2, 3
SLOW, QUICK = 2 * TARGET, TARGET / 2


class Intervals:
    """One after the other, in each of which so many pushes come."""

    def __init__(self) -> None:
        self.congestion = Congestion(lambda: self._wanted)
        self._now, self._wanted = 1_000.0, 0.0

    def go(self, count: int, seconds: float, pushes: dict[int, int], in_flight: int = 500, busy: float = 0.9) -> None:
        for _ in range(count):
            for customer, number in pushes.items():
                for _ in range(number):
                    self.congestion.note_push(customer, in_flight)
            self._now += INTERVAL + 0.001
            self._wanted += (INTERVAL + 0.001) * busy
            self.congestion.note_turn(seconds, self._now)


def test_whoever_pushes_most_is_bounded_while_turns_take_too_long() -> None:
    intervals = Intervals()
    intervals.go(2, SLOW, {FLOOD: 100, QUIET: 4})
    assert intervals.congestion.is_bounded(FLOOD, 500)
    before = intervals.congestion.limit
    intervals.go(1, SLOW, {FLOOD: 100, QUIET: 4})
    assert intervals.congestion.limit < before


def test_nobody_is_bounded_below_the_least() -> None:
    intervals = Intervals()
    intervals.go(100, SLOW, {FLOOD: 100, QUIET: 4})
    assert intervals.congestion.limit == LEAST
    assert intervals.congestion.is_bounded(FLOOD, LEAST)
    assert not intervals.congestion.is_bounded(FLOOD, LEAST - 1)


def test_who_pushes_no_more_than_its_part_is_not_bounded_by_anothers_flood() -> None:
    intervals = Intervals()
    intervals.go(100, SLOW, {FLOOD: 100, LARGE: 30, QUIET: 4})
    assert not intervals.congestion.is_bounded(LARGE, 500)
    assert intervals.congestion.is_anothers(LARGE)
    assert not intervals.congestion.is_anothers(FLOOD)


def test_two_floods_are_both_bounded() -> None:
    intervals = Intervals()
    intervals.go(100, SLOW, {FLOOD: 100, LARGE: 90, QUIET: 4})
    assert intervals.congestion.is_bounded(FLOOD, 500)
    assert intervals.congestion.is_bounded(LARGE, 500)


def test_a_bound_grows_again_while_turns_are_short_and_then_goes() -> None:
    intervals = Intervals()
    intervals.go(100, SLOW, {FLOOD: 100, QUIET: 4})
    intervals.go(10, QUICK, {FLOOD: 100, QUIET: 4})
    assert LEAST < intervals.congestion.limit < UNLIMITED
    intervals.go(100, QUICK, {FLOOD: 100, QUIET: 4})
    assert intervals.congestion.limit == UNLIMITED


def test_nobody_is_bounded_where_turns_are_short() -> None:
    intervals = Intervals()
    intervals.go(100, QUICK, {FLOOD: 1_000, QUIET: 4})
    assert not intervals.congestion.is_bounded(FLOOD, 1_000_000)
    assert not intervals.congestion.is_anothers(QUIET)


def test_nobody_is_bounded_where_the_process_rests_between_turns_that_are_long() -> None:
    intervals = Intervals()
    intervals.go(100, SLOW, {FLOOD: 1_000, QUIET: 4}, busy=0.6)
    assert not intervals.congestion.is_bounded(FLOOD, 1_000_000)
