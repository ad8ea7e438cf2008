"""The delivery log: rows as text, written exactly once, kept by day."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
import redis
from django.db import OperationalError, connection, connections

from delivery.log import partitions, rows, segments, writing
from delivery.models import Delivery
from delivery.outcomes.verdict import ANSWERED, Attempt
from delivery.protocol.wire import Push
from delivery.providers import table

pytestmark = pytest.mark.django_db

NOON = 1_790_000_000.123  # 2026-09-21
SENT = table.judge(Attempt("apns", "api.push.apple.com", 200, "", ANSWERED, NOON, 12))


@pytest.fixture
def store(valkey_url: str) -> Iterator[redis.Redis]:
    """An empty Valkey."""
    with redis.Redis.from_url(valkey_url) as valkey:
        yield valkey


def a_row(trace: str, at: float = NOON, **members: Any) -> bytes:
    """A line for a push that was sent."""
    attempts = [Attempt("apns", "api.push.apple.com", 200, "", ANSWERED, at, 12)]
    push = Push(platform="apple_rn-v2", type="message", ack_id="ack", server_id="server", **members)
    return rows.row(trace, at, at + 0.5, "1\t2\t3", 4, push, "f" * 32, 900, SENT, attempts)


def test_a_row_is_written_with_all_its_members(store: redis.Redis) -> None:
    store.rpush(rows.ROWS, a_row("t-1"))
    assert writing.write(store) == 1
    row = Delivery.objects.get(trace="t-1")
    assert (row.customer_id, row.server_id, row.key_id, row.app_id) == (1, 2, 3, 4)
    assert (row.outcome, row.answer, row.attribution, row.counts, row.count) == (
        "sent",
        "OK",
        SENT.attribution,
        True,
        1,
    )
    assert row.accepted_at.isoformat() == "2026-09-21T14:13:20.123000+00:00"
    assert (row.ended_at - row.accepted_at) == timedelta(milliseconds=500)
    assert row.attempts == [{"at": NOON, "host": "api.push.apple.com", "status": 200, "ms": 12}]


@pytest.mark.parametrize("hostile", ["a\tb", "a\nb", "a\\N", "\\.", "a\0b", "é" * 500, "\u2028", "'; DROP TABLE x"])
def test_whatever_a_push_holds_stays_in_its_column(store: redis.Redis, hostile: str) -> None:
    store.rpush(rows.ROWS, a_row("t-1", sub_type=hostile), a_row("t-2"))
    assert writing.write(store) == 2
    assert Delivery.objects.get(trace="t-1").sub_type == hostile.replace("\0", "")[: rows.KEPT]
    assert Delivery.objects.get(trace="t-2").sub_type == ""


def test_a_providers_text_cannot_break_a_row(store: redis.Redis) -> None:
    attempt = Attempt("apns", "host", 400, 'a"b\\c\td', ANSWERED, NOON, 1, detail='say "no"\n\\')
    push = Push(platform="apple_rn-v2")
    verdict = table.judge(attempt)
    store.rpush(rows.ROWS, rows.row("t-1", NOON, NOON, "1\t2\t3", None, push, "", 1, verdict, [attempt]))
    assert writing.write(store) == 1
    (attempt_logged,) = Delivery.objects.get(trace="t-1").attempts
    assert (attempt_logged["reason"], attempt_logged["detail"]) == ('a"b\\c d', 'say "no" \\')


def test_rows_are_written_once_when_a_writer_dies_before_it_cleans_up(store: redis.Redis) -> None:
    store.rpush(rows.ROWS, a_row("t-1"))
    copy = store.dump(rows.ROWS)
    writing.write(store)
    (part,) = _written()
    name = part.partition(":")[0]
    # As a writer leaves it that committed and was killed before it could remove the segment.
    store.restore(f"{rows.ROWS}:{name}", 0, copy)
    store.sadd(writing.SEGMENTS, name)
    assert writing.write(store) == 0
    assert Delivery.objects.count() == 1
    assert not store.exists(f"{rows.ROWS}:{name}")


def test_a_long_backlog_is_written_in_parts_of_which_none_is_written_twice(
    store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "PART", 2)
    store.rpush(rows.ROWS, *[a_row(f"t-{number}") for number in range(5)])
    calls, copy = iter(range(9)), writing._copy

    def breaks_at_the_second(cursor: Any, blob: bytes) -> int:
        if next(calls) == 1:
            raise OperationalError("the connection broke")
        return copy(cursor, blob)

    monkeypatch.setattr(writing, "_copy", breaks_at_the_second)
    with pytest.raises(OperationalError):
        writing.write(store)
    assert Delivery.objects.count() == 2, "what was written stays"
    assert writing.write(store) == 3
    assert Delivery.objects.count() == 5
    assert not store.exists(writing.SEGMENTS, rows.ROWS)


class Another:
    """The same connection to PostgreSQL, as another one."""

    def __init__(self, same: Any) -> None:
        self._same = same

    def __getattr__(self, name: str) -> Any:
        return getattr(self._same, name)


def test_what_a_server_that_took_over_has_not_got_of_a_backlog_is_written_again(
    store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "PART", 2)
    store.rpush(rows.ROWS, *[a_row(f"t-{number}") for number in range(5)])
    calls, copy = iter(range(9)), writing._copy

    def breaks_at_the_third(cursor: Any, blob: bytes) -> int:
        if next(calls) == 2:
            raise OperationalError("the connection broke")
        return copy(cursor, blob)

    monkeypatch.setattr(writing, "_copy", breaks_at_the_third)
    with pytest.raises(OperationalError):
        writing.write(store)
    # Another server is behind the address now, which had not got the second part when the first one died.
    second = max(_written(), key=lambda part: int(part.partition(":")[2]))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM delivery_written_segment WHERE name = %s", [second])
    Delivery.objects.filter(trace__in=("t-2", "t-3")).delete()
    monkeypatch.setattr(connections["default"], "connection", Another(connection.connection))
    assert writing.write(store) == 3
    assert sorted(Delivery.objects.values_list("trace", flat=True)) == [f"t-{number}" for number in range(5)]
    assert not store.exists(writing.SEGMENTS, rows.ROWS)


def test_what_an_earlier_writer_has_left_is_written_before_what_has_come_since(store: redis.Redis) -> None:
    store.rpush(f"{rows.ROWS}:abc", a_row("t-1"))
    store.sadd(writing.SEGMENTS, "abc")
    store.rpush(rows.ROWS, a_row("t-2"))
    assert writing.write(store) == 2
    assert not store.exists(writing.SEGMENTS, rows.ROWS)


@pytest.mark.parametrize("odd", [*map(chr, range(32)), "\x7f", "\u2028", "\ud800"], ids=ascii)
def test_no_character_of_a_providers_text_makes_a_row_that_is_no_json(odd: str) -> None:
    attempt = Attempt("apns", "host", 0, f"a{odd}b", ANSWERED, NOON, 1, detail=f"c{odd}d")
    line = rows.row("t-1", NOON, NOON, "1\t2\t3", None, Push(), "", 1, table.judge(attempt), [attempt])
    assert line.count(b"\n") == 1
    (logged,) = json.loads(line.split(b"\t")[rows.COLUMNS.index("attempts")].replace(b"\\\\", b"\\"))
    assert (logged["reason"][0], logged["detail"][-1]) == ("a", "d")


def test_lines_that_are_kept_aside_have_a_bound(store: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "REJECT", segments.REJECT.replace(str(segments.REJECTED_MOST), "3"))
    store.rpush(rows.ROWS, *[f"nonsense {number}\n" for number in range(5)])
    assert writing.write(store) == 0
    assert store.lrange(writing.REJECTED, 0, -1) == [b"nonsense 2\n", b"nonsense 3\n", b"nonsense 4\n"]


def test_a_line_that_the_table_refuses_is_kept_aside_and_the_others_are_written(store: redis.Redis) -> None:
    store.rpush(rows.ROWS, a_row("t-1") + b"nonsense\n" + a_row("t-2"))
    assert writing.write(store) == 2
    assert store.lrange(writing.REJECTED, 0, -1) == [b"nonsense\n"]
    assert set(Delivery.objects.values_list("trace", flat=True)) == {"t-1", "t-2"}


def test_a_push_that_was_settled_twice_holds_up_no_other_row(store: redis.Redis) -> None:
    store.rpush(rows.ROWS, a_row("t-1"))
    writing.write(store)
    store.rpush(rows.ROWS, a_row("t-1"), a_row("t-2"))
    assert writing.write(store) == 1
    assert store.lrange(writing.REJECTED, 0, -1) == [a_row("t-1")]
    assert not store.exists(writing.SEGMENTS)
    assert set(Delivery.objects.values_list("trace", flat=True)) == {"t-1", "t-2"}


def test_one_row_that_is_refused_does_not_make_each_of_its_part_a_statement(
    store: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.rpush(rows.ROWS, a_row("t-77"))
    writing.write(store)
    statements, copy = [], writing._copy

    def counted(cursor: Any, blob: bytes) -> int:
        statements.append(blob)
        return copy(cursor, blob)

    monkeypatch.setattr(writing, "_copy", counted)
    store.rpush(rows.ROWS, *[a_row(f"t-{number}") for number in range(200)])
    assert writing.write(store) == 199
    assert store.lrange(writing.REJECTED, 0, -1) == [a_row("t-77")]
    assert Delivery.objects.count() == 200
    assert len(statements) < 30


def test_rows_of_a_day_find_its_partition_also_when_they_came_before_it(store: redis.Redis) -> None:
    store.rpush(rows.ROWS, a_row("t-1"))
    writing.write(store)
    assert _partition_of("t-1") == "delivery_other_days"
    assert partitions.make_partitions(date(2026, 9, 21), tables=(partitions.LOG,)) == [
        "delivery_2026_09_20",
        "delivery_2026_09_21",
        "delivery_2026_09_22",
        "delivery_2026_09_23",
        "delivery_2026_09_24",
    ]
    assert _partition_of("t-1") == "delivery_2026_09_21"
    assert partitions.make_partitions(date(2026, 9, 21), tables=(partitions.LOG,)) == []


def test_the_retention_drops_whole_days_and_no_younger_one(store: redis.Redis) -> None:
    partitions.make_partitions(date(2026, 9, 21), tables=(partitions.LOG,))
    store.rpush(rows.ROWS, a_row("old"), a_row("young", NOON + 2 * 86_400))
    writing.write(store)
    assert partitions.drop_partitions(date(2026, 9, 25), keep_days=2, tables=(partitions.LOG,)) == (
        ["delivery_2026_09_20", "delivery_2026_09_21", "delivery_2026_09_22"],
        [],
    )
    assert list(Delivery.objects.values_list("trace", flat=True)) == ["young"]


def test_devices_are_told_apart_and_not_known() -> None:
    one, other = rows.fingerprint("a" * 64, b"key"), rows.fingerprint("b" * 64, b"key")
    assert one != other
    assert one == rows.fingerprint("a" * 64, b"key")
    assert one != rows.fingerprint("a" * 64, b"another key")
    assert len(one) == 32


def _written() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM delivery_written_segment")
        return [name for (name,) in cursor.fetchall()]


def _partition_of(trace: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT tableoid::regclass::text FROM delivery_delivery WHERE trace = %s", [trace])
        return str(cursor.fetchone()[0])
