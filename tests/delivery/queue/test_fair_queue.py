"""The fair queue: tenants in turn, by weight, with what is urgent first."""

import random
from collections import Counter
from itertools import groupby

import pytest

from delivery.queue.fair_queue import FIXED, IN_A_ROW, QUANTUM, URGENT_MOST, FairQueue

USUAL = QUANTUM - FIXED
"""The size of a push of which a tenant of weight 1 may take one in its turn."""


def all_of(queue: FairQueue[tuple[int, int]]) -> list[tuple[int, int]]:
    return [queue.take() for _ in range(len(queue))]


def test_a_quiet_tenant_is_next_behind_a_flood() -> None:
    queue: FairQueue[tuple[int, int]] = FairQueue()
    for number in range(10_000):
        queue.put(1, (1, number), USUAL)
    queue.put(2, (2, 0), USUAL)
    assert [queue.take() for _ in range(3)] == [(1, 0), (2, 0), (1, 1)]


def test_a_tenant_of_large_pushes_gets_no_more_bytes_than_one_of_small_ones() -> None:
    queue: FairQueue[tuple[int, int]] = FairQueue()
    for number in range(2_000):
        queue.put(1, (1, number), 9_000)
        queue.put(2, (2, number), 1_000)
    taken = Counter(queue.take()[0] for _ in range(600))
    assert taken[1] * (9_000 + FIXED) == pytest.approx(taken[2] * (1_000 + FIXED), rel=0.1)


def test_each_tenant_gets_as_much_as_its_weight_says() -> None:
    queue: FairQueue[tuple[int, int]] = FairQueue()
    for number in range(2_000):
        for tenant, weight in ((1, 4), (2, 1), (3, 1)):
            queue.put(tenant, (tenant, number), USUAL, weight=weight)
    taken = Counter(queue.take()[0] for _ in range(600))
    assert taken == {1: 400, 2: 100, 3: 100}


def test_what_is_urgent_goes_first_and_leaves_turns_to_others() -> None:
    queue: FairQueue[tuple[int, int]] = FairQueue()
    for number in range(10):
        queue.put(1, (1, number), USUAL)
    for number in range(10):
        queue.put(2, (2, number), USUAL, urgent=True)
    runs = [(tenant, len(list(run))) for tenant, run in groupby(tenant for tenant, _ in all_of(queue))]
    assert runs == [(2, IN_A_ROW), (1, 1), (2, IN_A_ROW), (1, 1), (2, IN_A_ROW), (1, 1), (2, 1), (1, 7)]


def test_a_flood_of_urgent_pushes_waits_as_others_do() -> None:
    queue: FairQueue[tuple[int, int]] = FairQueue()
    for number in range(1_000):
        queue.put(1, (1, number), USUAL, urgent=True)
    queue.put(2, (2, 0), USUAL, urgent=True)
    queue.put(3, (3, 0), USUAL)
    taken = [queue.take() for _ in range(2 * URGENT_MOST)]
    assert taken.index((2, 0)) < 3
    assert taken.index((3, 0)) <= 2 * (IN_A_ROW + 1)
    assert taken[-1][1] == sorted(number for tenant, number in taken if tenant == 1)[-1]


def test_nothing_can_be_taken_where_nothing_waits() -> None:
    with pytest.raises(LookupError):
        FairQueue().take()


@pytest.mark.parametrize("seed", range(20))
def test_everything_comes_out_once_in_its_tenants_order_and_nobody_waits_for_ever(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    queue: FairQueue[tuple[int, int]] = FairQueue()
    weights = {tenant: chance.choice((1, 1, 4)) for tenant in range(chance.randint(1, 12))}
    put: list[tuple[int, int]] = []
    taken: list[tuple[int, int]] = []
    urgent: set[tuple[int, int]] = set()
    put_at: dict[tuple[int, int], int] = {}
    sizes = 0
    for number in range(2_000):
        if chance.random() < 0.6:
            tenant = min(chance.choices(list(weights), k=3))  # some push much more than others
            one = (tenant, number)
            if chance.random() < 0.05:
                urgent.add(one)
            size = chance.choice((0, 300, 1_200, 8_000))
            queue.put(tenant, one, size, weight=weights[tenant], urgent=one in urgent)
            put.append(one)
            put_at[one] = len(taken)
            sizes += size
        elif len(queue):
            taken.append(queue.take())
    assert len(queue) == len(put) - len(taken)
    taken += all_of(queue)
    assert sorted(taken) == sorted(put)
    assert (len(queue), queue.size) == (0, 0)
    for tenant in weights:
        usual = [number for who, number in taken if who == tenant and (who, number) not in urgent]
        assert usual == sorted(usual)
    # A turn of everybody is at most so many pushes long: whoever is first of its tenant waits for no more than that,
    # for its own size in turns of its own, and for what is urgent.
    one_turn = sum(weights.values()) * QUANTUM // FIXED * (1 + IN_A_ROW)
    for place, one in enumerate(taken):
        before = [other for other in taken[put_at[one] : place] if other[0] == one[0]]
        if not before:
            assert place - put_at[one] <= 6 * one_turn


def test_a_tenant_that_is_held_has_no_turn_until_it_is_resumed() -> None:
    queue: FairQueue[tuple[int, int]] = FairQueue()
    for number in range(3):
        queue.put(1, (1, number), USUAL)
    queue.put(1, (1, 3), USUAL, urgent=True)
    queue.hold(1)
    queue.put(1, (1, 4), USUAL)
    queue.put(2, (2, 0), USUAL)
    assert (queue.held, queue.count(1), queue.is_ready) == ({1}, 5, True)
    assert queue.take() == (2, 0)
    with pytest.raises(LookupError):
        queue.take()
    assert (len(queue), queue.oldest(1), queue.is_ready) == (5, (1, 0), False)
    queue.resume(1)
    assert all_of(queue) == [(1, 3), (1, 0), (1, 1), (1, 2), (1, 4)]
