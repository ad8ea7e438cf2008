"""The tables of devices held against the log, and mended."""

import io
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from delivery.devices import absorbing, counting, forgetting, rebuilding
from tests.delivery.devices.writing import DEVICES, GONE, push, receipt, tables
from tests.delivery.rollups.pushes import HOUR

pytestmark = pytest.mark.django_db
DAY = HOUR.date()


def sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture(autouse=True)
def _pushes() -> None:
    push("a", 0)
    push("b", 10, device=DEVICES[1])
    push("c", 20, GONE, device=DEVICES[1])
    receipt("a", 0)
    absorbing.absorb()
    counting.count_active()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("DELETE FROM delivery_device", (2, 0, 0, 0)),
        ("UPDATE delivery_device SET acked_at = NULL", (1, 0, 0, 0)),
        ("UPDATE delivery_device SET last_at = last_at + interval '1 hour'", (0, 2, 0, 0)),
        ("UPDATE delivery_device SET removed_code = 'a' WHERE removed_at IS NOT NULL", (1, 1, 0, 0)),
        ("UPDATE delivery_device SET removed_code = 'z' WHERE removed_at IS NOT NULL", (0, 1, 0, 0)),
        ("DELETE FROM delivery_active_device", (0, 0, 2, 0)),
        ("UPDATE delivery_active_device SET server_id = 9", (0, 0, 2, 2)),
    ],
)
def test_each_difference_is_found_and_mended(fault: str, expected: tuple[int, ...]) -> None:
    before = tables()
    assert not rebuilding.compare(DAY)
    sql(fault)
    assert rebuilding.compare(DAY) == (DAY, *expected)
    rebuilding.rebuild(DAY)
    assert not rebuilding.compare(DAY)
    assert tables() == before


def run(*arguments: str) -> Any:
    out = io.StringIO()
    call_command("devices", *arguments, stdout=out)
    return json.loads(out.getvalue())


def test_the_command_finds_and_mends(settings: Settings) -> None:
    settings.RETENTION_DAYS = (timezone.now().date() - DAY).days
    assert run("absorb") == {"batches": 0, "months": []}
    assert run("check", "--from", str(DAY)) == {"different": []}
    sql("DELETE FROM delivery_active_device")
    with pytest.raises(CommandError, match="run devices rebuild"):
        run("check", "--from", str(DAY))
    assert run("rebuild", "--from", str(DAY), "--to", str(DAY + timedelta(days=1)))["rebuilt"][0] == str(DAY)
    assert run("check", "--from", str(DAY)) == {"different": []}


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        (0, 1, "when it is over"),
        (-1, -2, "before the first"),
        (-500, -1, "the log has the last"),
    ],
)
def test_days_that_cannot_be_counted_are_refused(first: int, last: int, message: str) -> None:
    today = timezone.now().date()
    days = [str(today + timedelta(days=offset)) for offset in (first, last)]
    with pytest.raises(CommandError, match=message):
        run("check", "--from", days[0], "--to", days[1])


def test_a_day_that_is_none_is_refused() -> None:
    with pytest.raises(CommandError, match="isoformat"):
        run("rebuild", "--from", "yesterday")


def test_devices_go_after_25_months(monkeypatch: pytest.MonkeyPatch) -> None:
    assert forgetting.forget() == 0
    monkeypatch.setattr(forgetting, "BATCH_SIZE", 1)
    sql("UPDATE delivery_device SET last_at = now() - interval '26 months' WHERE acked_at IS NULL")
    sql("UPDATE delivery_active_device SET month = '2020-01-01'")
    assert forgetting.forget() == 3
    assert len(tables()["delivery_device"]) == 1


def test_a_customers_devices_are_erased_and_no_others() -> None:
    push("x", 0, customer=8)
    absorbing.absorb()
    counting.count_active()
    assert forgetting.erase(1) == 7
    assert {row[0] for row in tables()["delivery_device"]} == {8}
