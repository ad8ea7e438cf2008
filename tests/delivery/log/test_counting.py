"""What is counted beside the log is what is counted out of it, whatever comes and whatever breaks."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
import redis
from django.db import OperationalError, connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delivery.log import counting, rows, writing
from delivery.models import Delivery
from delivery.outcomes import judge
from delivery.outcomes.verdict import ANSWERED, Attempt, Verdict
from delivery.protocol.wire import Push
from delivery.providers import table
from delivery.rollups import rebuilding
from delivery.rollups.increments import Increments
from tests.delivery.rollups import comparing

pytestmark = pytest.mark.django_db(transaction=True)

START: Final = datetime(2026, 9, 21, 23, tzinfo=UTC)  # an hour before a day ends
END: Final = START + timedelta(hours=3)
VERDICTS: Final = (
    table.PROVIDERS["apns"].outcomes.sent,
    table.judge(Attempt("apns", "h", 410, "Unregistered", ANSWERED, 0, 1)),
    table.judge(Attempt("fcm", "h", 599, "NEVER_SEEN", ANSWERED, 0, 1)),
    judge.refusal("no_app"),
    judge.refusal("malformed"),
)
PLATFORMS: Final = ("apple_rn-v2", "android_rn-v2", "apple", "windows", "", "appl\te", "\\apple", "apple]")
TYPES: Final = ("message", "clear", "test", "gossip", "", "mess\nage", "\\message", "clear]")


@pytest.fixture
def store(valkey_url: str) -> Iterator[redis.Redis]:
    """An empty Valkey."""
    with redis.Redis.from_url(valkey_url) as valkey:
        yield valkey


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    yield
    empty()


def empty() -> None:
    """Leave nothing in the tables."""
    comparing.empty()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM delivery_delivery")
        cursor.execute("DELETE FROM delivery_written_segment")


def line(
    number: int, second: float, took: float, verdict: Verdict, who: tuple[int, int, int], count: int, label: Any
) -> bytes:
    """A line as a worker makes it."""
    customer, server, app = who
    at = START.timestamp() + second
    push = Push(platform=label[0], type=label[1])
    key = f"{customer}\t{server}\t{rows.NO_KEY if server == 2 else 5}"
    return rows.row(f"t-{number}", at, at + took, key, app or None, push, "f" * 32, 700, verdict, (), count)


LINES: Final = st.lists(
    st.builds(
        line,
        st.integers(0, 30),  # so few that some come twice
        st.one_of(st.floats(0, 10_799), st.sampled_from((0.0, 59.9995, 3_599.9996, 3_600.0, 10_799.999))),
        st.one_of(st.floats(-100, 700_000), st.sampled_from((0.0, 0.999, 0.9996, 1.0, 3.0, 4.999, 5.0, 60.0, -0.5))),
        st.sampled_from(VERDICTS),
        st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(0, 1)),
        st.sampled_from((1, 1, 1, 2, 70_000, 0)),
        st.tuples(st.sampled_from(PLATFORMS), st.sampled_from(TYPES)),
    )
    | st.sampled_from((b"nonsense\n", b"\t" * 21 + b"\n", b"a\tb\n")),
    max_size=25,
)


class Crash(OperationalError):
    """The connection broke, or the writer was killed."""


def crashing(monkeypatch: pytest.MonkeyPatch, crashes: set[int]) -> None:
    """Let the steps of these numbers fail, each once; a step is a COPY, a count, or a call of Valkey."""
    steps = iter(range(10_000))

    def breaking(step: Callable[..., Any]) -> Callable[..., Any]:
        def broken(*values: Any, **named: Any) -> Any:
            if next(steps) in crashes:
                raise Crash
            done = step(*values, **named)
            if next(steps) in crashes:
                raise Crash
            return done

        return broken

    for owner, name in (
        *((writing, "_copy"), (counting, "count"), (Increments, "write"), (writing, "_write_part")),
        *((redis.Redis, "lrange"), (redis.Redis, "eval"), (redis.Redis, "pipeline")),
    ):
        monkeypatch.setattr(owner, name, breaking(getattr(owner, name)))


@given(
    elements=st.lists(st.lists(st.integers(0, 24), max_size=6), max_size=8),
    lines=LINES,
    crashes=st.sets(st.integers(0, 60), max_size=6),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_what_is_counted_beside_the_rows_is_what_is_counted_out_of_them(
    elements: list[list[int]], lines: list[bytes], crashes: set[int], store: redis.Redis
) -> None:
    empty()
    store.flushdb()
    for numbers in elements:
        store.rpush(rows.ROWS, b"".join([lines[number] for number in numbers if number < len(lines)]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "PART", 3)
        crashing(patch, crashes)
        for _ in range(len(crashes) + 1):
            try:
                writing.write(store)
            except Crash:
                continue
    writing.write(store)
    assert not store.exists(rows.ROWS, writing.SEGMENTS)
    counted = comparing.everything()
    rebuilding.rebuild(START - timedelta(days=9), END + timedelta(days=9))
    assert counted == comparing.everything()
    assert sum(Delivery.objects.values_list("count", flat=True)) == sum(
        sums[0] for sums in counted["delivery_service_hour"].values()
    )


def test_a_row_that_nobody_could_count_is_kept_aside(store: redis.Redis) -> None:
    good = line(1, 1.0, 0.1, VERDICTS[0], (1, 1, 1), 1, ("apple", "message"))
    odd = line(2, 1.0, 0.1, VERDICTS[0], (1, 1, 1), 1, ("apple", "message")).replace(b"2026-09-21 ", b"2026-09-21T", 2)
    odder = line(3, 1.0, 0.1, VERDICTS[0], (1, 1, 1), 1, ("apple", "message")).replace(b"+00\t", b"+01\t")
    store.rpush(rows.ROWS, odd + good + odder)
    assert writing.write(store) == 1
    assert store.lrange(writing.REJECTED, 0, -1) == [odd, odder]
    assert [row.trace for row in Delivery.objects.all()] == ["t-1"]


@pytest.mark.parametrize("nonsense", [b"x\n", b"\t" * 21 + b"\n"])
def test_what_is_no_row_cannot_be_counted(nonsense: bytes) -> None:
    with pytest.raises(counting.UncountableError):
        counting.count(nonsense)
