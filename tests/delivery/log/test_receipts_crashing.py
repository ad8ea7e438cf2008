"""Receipts and their pushes in any order, with a writer that is killed at any step: each is counted exactly once."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Final

import pytest
import redis
from django.db import OperationalError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delivery.log import receipts, writing
from delivery.log.receipt_lines import QUEUE
from delivery.log.unmatched import Unmatched
from delivery.models import Delivery, Receipt
from delivery.outcomes import judge, own
from delivery.outcomes.verdict import Outcome
from delivery.rollups import rebuilding
from delivery.rollups.increments import Increments
from tests.delivery.log.acknowledging import NOON, SENT, acked, looked, moved, pushed
from tests.delivery.rollups import comparing

pytestmark = pytest.mark.django_db

UNSURE: Final = next(row for row in own.TRANSPORT.values() if row.outcome is Outcome.UNKNOWN)
VERDICTS: Final = (SENT, SENT, SENT, UNSURE, judge.refusal("no_app"))
CUSTOMERS, ACKS = st.integers(1, 2), st.sampled_from(("a", "b", "c", "d"))
SECONDS: Final = st.one_of(st.integers(0, 10_000_000).map(lambda ms: ms / 1000), st.sampled_from((0.0, 59.999, 60.0)))
Step = tuple[Any, ...]
STEPS: Final = st.lists(
    st.one_of(
        st.tuples(st.just("push"), ACKS, SECONDS, st.sampled_from(VERDICTS), CUSTOMERS),
        st.tuples(st.just("ack"), st.integers(0, 8), ACKS, SECONDS, CUSTOMERS),  # few names: some come again
        st.tuples(st.just("move")),
        st.tuples(st.just("look")),
    ),
    max_size=30,
)


@pytest.fixture
def store(valkey_url: str) -> Iterator[redis.Redis]:
    """An empty Valkey."""
    with redis.Redis.from_url(valkey_url) as valkey:
        yield valkey


class Killed(OperationalError):
    """In the place of SIGKILL: what was not committed is rolled back."""


class Killer:
    """Kills the writer at the steps of these numbers: before or after a command of Valkey's, a statement, a COPY."""

    def __init__(self, at: set[int]) -> None:
        self._at, self._number, self._armed = at, 0, False

    def _step(self) -> None:
        self._number += self._armed
        if self._armed and self._number in self._at:
            raise Killed

    def _around(self, work: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*values: Any, **named: Any) -> Any:
            self._step()
            done = work(*values, **named)
            self._step()
            return done

        return stepping

    def _statement(self, execute: Callable[..., Any], sql: str, *others: Any) -> Any:
        if "SAVEPOINT" in sql:  # in the place of BEGIN and COMMIT, which are one step with what they end
            return execute(sql, *others)
        return self._around(execute)(sql, *others)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Inside, steps are seen."""
        with pytest.MonkeyPatch.context() as patch, connection.execute_wrapper(self._statement):
            patch.setattr(writing, "PART", 2)
            patch.setattr(receipts, "PART", 2)
            for owner, name in (
                (redis.Redis, "execute_command"),
                (redis.client.Pipeline, "execute"),
                (Increments, "write"),
                (writing, "_copy"),
            ):
                patch.setattr(owner, name, self._around(getattr(owner, name)))
            yield

    @contextmanager
    def mortal(self) -> Iterator[None]:
        """Inside, steps count, and whoever does them may be killed."""
        self._armed = True
        try:
            yield
        except Killed:
            pass
        finally:
            self._armed = False


@given(steps=STEPS, kills=st.sets(st.integers(1, 120), max_size=6))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_whatever_comes_first_and_whenever_a_writer_dies_each_push_is_acknowledged_once(
    steps: list[Step], kills: set[int], store: redis.Redis
) -> None:
    store.flushdb()
    with transaction.atomic():
        play(store, steps, kills)
        transaction.set_rollback(True)


def play(store: redis.Redis, steps: list[Step], kills: set[int]) -> None:
    looks, writer = Unmatched(), Killer(kills)
    names: dict[int, tuple[str, float, int]] = {}
    with writer.watching():
        for number, (kind, *values) in enumerate(steps):
            if kind == "push":
                ack_id, second, verdict, customer = values
                pushed(store, f"t-{number}", ack_id, second, verdict=verdict, customer=customer)
            elif kind == "ack":
                name, *rest = values
                ack_id, second, customer = names.setdefault(name, tuple(rest))  # the same one, handed over again
                acked(store, f"r-{name}", ack_id, second + 1, customer=customer)
            else:
                with writer.mortal():
                    _ = moved(store) if kind == "move" else looked(10_000, looks)
    moved(store)
    looked(10_100)
    check(names)
    assert not store.exists(QUEUE.waiting, QUEUE.segments, writing.ROWS, writing.SEGMENTS)


def check(names: dict[int, tuple[str, float, int]]) -> None:
    sendable = {(row.customer_id, row.ack_id): row for row in Delivery.objects.filter(outcome__in=("sent", "unknown"))}
    rows = list(Receipt.objects.all())
    assert {row.id for row in rows} == {f"r-{name}" for name in names}
    for row in rows:
        assert (row.trace is not None) == ((row.customer_id, row.ack_id) in sendable), row.id
    firsts = Counter(row.trace for row in rows if not row.repeated and row.trace)
    assert set(firsts.values()) <= {1}
    assert set(firsts) == {row.trace for row in rows if row.trace}
    counted = comparing.everything()
    rebuilding.rebuild(NOON - timedelta(hours=1), NOON + timedelta(hours=5))
    assert counted == comparing.everything()
    assert sum(sums[1] for sums in counted["delivery_service_hour"].values()) == len(firsts)
