"""The budget for repeats: they never crowd out first tries."""

from delivery.providers.base import Target
from delivery.worker import retry_budget
from delivery.worker.retry_budget import RetryBudget


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def target(credential_id: int = 1) -> Target:
    """An app with a credential."""
    return Target(1, "apns", "com.example", "", "https://localhost", credential_id, "apns_key", {})


def taken(budget: RetryBudget, one: Target, most: int = 10_000) -> int:
    """How many repeats there are now."""
    return next((count for count in range(most) if not budget.take(one)), most)


def test_what_is_saved_up_is_bounded() -> None:
    clock, one = Clock(), target()
    budget = RetryBudget(clock)
    assert taken(budget, one) == retry_budget.SAVED_MOST
    clock.now = 1e6
    one.first_tries = 1_000_000
    assert taken(budget, one) == retry_budget.SAVED_MOST


def test_repeats_are_a_part_of_first_tries_and_a_small_rate() -> None:
    clock, one = Clock(), target()
    budget = RetryBudget(clock)
    taken(budget, one)
    one.first_tries += 500
    assert taken(budget, one) == 500 * retry_budget.EARNED
    clock.now = 2.0
    assert taken(budget, one) == 2 * retry_budget.FLOOR


def test_one_credential_takes_nothing_from_another() -> None:
    budget = RetryBudget(Clock())
    taken(budget, target(1))
    assert taken(budget, target(2)) == retry_budget.SAVED_MOST


def test_the_buckets_are_bounded() -> None:
    budget = RetryBudget(Clock())
    for credential_id in range(retry_budget.BUCKETS_MOST * 2):
        budget.take(target(credential_id))
    assert len(budget._buckets) <= retry_budget.BUCKETS_MOST
