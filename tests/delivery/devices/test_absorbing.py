"""What was written is taken into the tables of devices: each row once, whatever happens in between."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from delivery.devices import absorbing, counting, rebuilding
from delivery.models import ActiveDevice, Device, DeviceCount
from delivery.outcomes import judge
from delivery.rollups import cells
from delivery.rollups.increments import Cell, Increments
from tests.delivery.devices.writing import DEVICES, GONE, WRONG, push, receipt, tables
from tests.delivery.rollups.pushes import HOUR, SENT
from tests.roles import WORKER, acting_as

pytestmark = pytest.mark.django_db
DAY = 86_400


def at(second: float) -> Any:
    """So many seconds after HOUR."""
    return HOUR + timedelta(seconds=second)


def test_a_device_knows_its_first_and_last_pushes_of_each_kind() -> None:
    push("a", 0)
    push("b", 100)
    push("c", 200, WRONG)
    push("d", 300, GONE)
    receipt("a", 0)
    with acting_as(WORKER):
        assert absorbing.absorb() > 0
    row = Device.objects.get()
    assert (row.customer_id, row.device, row.server_id, row.app_id, row.family) == (1, DEVICES[0], 2, 4, "apns")
    assert (row.first_at, row.last_at, row.sent_at, row.acked_at) == (at(0), at(300), at(100), at(0))
    assert (row.failed_at, row.failed_code) == (at(200), "apns_bad_device_token")
    assert (row.removed_at, row.removed_code, row.is_removed) == (at(300), "apns_unregistered", True)


def test_a_device_that_is_sent_to_after_its_removal_is_back() -> None:
    push("a", 0, GONE)
    push("b", 100)
    absorbing.absorb()
    assert not Device.objects.get().is_removed


def test_servers_and_apps_of_a_device_are_told_apart() -> None:
    push("a", 0)
    push("b", 0, server=3)
    push("c", 0, judge.refusal("no_app"), app=None)
    absorbing.absorb()
    assert set(Device.objects.values_list("server_id", "app_id")) == {(2, 4), (3, 4), (2, 0)}


def test_a_push_without_a_device_is_none_of_them() -> None:
    push("a", 0, device="")
    absorbing.absorb()
    assert tables()["delivery_device"] == []


def test_a_late_row_and_a_late_receipt_are_taken_in() -> None:
    push("b", 100)
    absorbing.absorb()
    push("a", 0)
    receipt("b", 100, late=3 * DAY)
    absorbing.absorb()
    row = Device.objects.get()
    assert (row.first_at, row.acked_at) == (at(0), at(100))


def test_an_older_receipt_that_comes_later_changes_nothing() -> None:
    push("a", 0)
    push("b", 100)
    receipt("b", 100)
    absorbing.absorb()
    receipt("a", 0, late=DAY)
    absorbing.absorb()
    assert Device.objects.get().acked_at == at(100)


def test_a_receipt_that_is_matched_afterwards_is_noted() -> None:
    push("a", 0)
    absorbing.absorb()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO delivery_receipt (id, received_at, customer_id, server_id, ack_id, type, platform) "
            "VALUES ('1', %s, 1, 2, 'x', 'message', 'ios')",
            [at(5)],
        )
        assert absorbing.absorb() == 0
        cursor.execute("UPDATE delivery_receipt SET trace = 'a', push_at = %s", [at(0)])
    absorbing.absorb()
    assert Device.objects.get().acked_at == at(0)


def test_a_minute_is_read_when_it_is_over_and_its_rows_have_come() -> None:
    second = (timezone.now() - HOUR).total_seconds()
    push("a", second)
    assert absorbing.absorb() == 0
    push("b", second - 200)
    assert absorbing.absorb() == 1


def test_while_another_absorbs_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    push("a", 0)
    monkeypatch.setattr(absorbing, "_TRY_LOCK", "SELECT false, now()")
    assert absorbing.absorb() == 0


def test_a_run_ends_in_time_and_leaves_the_rest() -> None:
    for minute in range(3):
        push(f"t{minute}", minute * 60)
    assert absorbing.absorb(0) == 0
    assert absorbing.absorb() == 3


def test_increments_note_the_minutes_of_rows_and_not_those_of_receipts() -> None:
    def cell(minute: int) -> Cell:
        return Cell(at(60 * minute), 1, 2, 4, "apns", cells.kind("message"), "sent", "sent", "provider", True)

    made = Increments()
    made.push(cell(0), 3, 5)
    made.acked(cell(0), 5)
    made.acked(cell(1), 5)
    with connection.cursor() as cursor, acting_as(WORKER):
        made.write(cursor)
        cursor.execute("SELECT minute FROM delivery_written_minute")
        assert cursor.fetchall() == [(at(0),)]


# --- active devices


def test_active_devices_are_counted_exactly_by_server_month_and_day() -> None:
    push("a", 0)
    push("b", 50)
    push("c", DAY)
    push("d", 0, device=DEVICES[1])
    push("e", 0, server=3)
    push("f", 20 * DAY)
    absorbing.absorb()
    assert counting.count_active() == [date(2026, 9, 1), date(2026, 10, 1)]
    counts = {(row.server_id, row.month.month): (row.devices, row.by_day) for row in DeviceCount.objects.all()}
    assert counts[2, 9][0] == 2
    assert counts[2, 9][1][20:22] == [2, 1]
    assert counts[3, 9][0] == 1
    assert counts[0, 9][0] == 2
    assert counts[0, 9][1][20:22] == [2, 1]
    assert counts[0, 10] == (1, [0] * 10 + [1] + [0] * 20)


def test_what_reached_no_phone_and_tests_of_the_connection_make_no_device_active() -> None:
    push("a", 0, WRONG)
    push("b", 0, GONE)
    push("c", 0, type="test")
    absorbing.absorb()
    assert not ActiveDevice.objects.exists()


def test_a_late_row_takes_the_counts_of_its_month_back_and_they_are_made_anew() -> None:
    push("a", 0)
    absorbing.absorb()
    counting.count_active()
    assert counting.count_active() == []
    push("b", 0, device=DEVICES[1])
    absorbing.absorb()
    assert not DeviceCount.objects.exists()
    assert counting.count_active() == [date(2026, 9, 1)]
    assert set(DeviceCount.objects.values_list("server_id", "devices")) == {(0, 2), (2, 2)}


# --- whatever happens in between


@contextmanager
def crash_at(statement: int) -> Iterator[None]:
    """The statement of this number is sent, and then the connection is gone; savepoints, for the tests' transaction
    stands around it all, are not counted."""
    left = [statement]

    def wrapper(execute: Any, sent: str, *arguments: Any) -> Any:
        result = execute(sent, *arguments)
        left[0] -= "SAVEPOINT" not in sent
        if left[0] == 0 and "SAVEPOINT" not in sent:
            raise OperationalError("killed")
        return result

    with connection.execute_wrapper(wrapper):
        try:
            yield
        except OperationalError:
            pass


_PUSHES = st.tuples(
    st.integers(0, 40).map(lambda number: number * 6 * 3600 + number),
    st.sampled_from(DEVICES),
    st.integers(2, 3),
    st.sampled_from((SENT, SENT, GONE, WRONG)),
    st.sampled_from(("none", "none", "first", "after")),
)
_STEPS = st.lists(st.one_of(_PUSHES, st.integers(1, 12)), max_size=30)


@given(_STEPS)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_however_rows_come_and_the_task_is_killed_the_tables_say_what_the_log_says(steps: list[Any]) -> None:
    with transaction.atomic():
        days = set()
        for number, step in enumerate(steps):
            if isinstance(step, int):
                with crash_at(step):
                    absorbing.absorb()
                continue
            second, device, server, verdict, acked = step
            trace = f"t{number}"
            if acked == "first":
                receipt(trace, second)
            push(trace, second, verdict, device=device, server=server)
            if acked == "after":
                receipt(trace, second)
            days.add(at(second).date())
        absorbing.absorb()
        counting.count_active()
        found = tables()
        assert not any(rebuilding.compare(day) for day in days)
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE delivery_device, delivery_active_device, delivery_device_count")
        for day in sorted(days):
            rebuilding.rebuild(day)
        assert tables() == found
        transaction.set_rollback(True)
