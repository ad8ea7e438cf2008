"""`manage.py usage`: a month is proven out of the log, and what differs is said with exit code 1."""

import io
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from billing.facts import Month
from billing.models import UsageCorrection
from billing.usage import closing, months, proving
from delivery.devices import absorbing, counting
from delivery.providers import table
from delivery.rollups.rebuilding import rebuild
from tests.billing.usage.used import at, known, pushes, since
from tests.browsing import Tenant, tenant
from tests.delivery.rollups import pushes as log
from tests.delivery.rollups.pushes import SENT

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
SEPTEMBER = Month(2026, 9)
NOW = at(10, 4)
REFUSED = table.PROVIDERS["apns"].outcomes.answers[403, "InvalidProviderToken"]


@pytest.fixture
def acme(db: None) -> Tenant:
    """Acme, with a log of some days in September, counted."""
    made = tenant("Acme")
    since(made.customer, at(9, 1))
    where = {"customer": made.customer.pk, "server": made.server.pk}
    for number, (moment, device, more) in enumerate(
        (
            (at(9, 1, 0), "a", {}),
            (at(9, 10), "a", {"count": 3}),
            (at(9, 10), "b", {}),
            (at(9, 10), "c", {"type": "test"}),
            (at(9, 30, 23), "b", {"server": 77}),
            (at(10, 1, 0), "d", {}),
        )
    ):
        write(f"trace-{number}", moment, device, **{**where, **more})
    write("refused", at(9, 11), "e", verdict=REFUSED, **where)
    rebuild(at(9, 1, 0), at(10, 1, 2))
    absorb()
    return made


def write(trace: str, moment: datetime, device: str, *, verdict: Any = SENT, **more: Any) -> None:
    log.write(trace, (moment - log.HOUR).total_seconds(), verdict, device=device * 32, **more)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO delivery_written_minute VALUES (%s)", [moment])


def absorb() -> None:
    while absorbing.absorb():
        pass
    counting.count_active()


def run(verb: str, *words: str) -> Any:
    out = io.StringIO()
    try:
        call_command("usage", verb, *words, stdout=out)
    except CommandError as error:
        return {**json.loads(out.getvalue() or "{}"), "failed": str(error)}
    return json.loads(out.getvalue())


def test_a_month_that_the_log_has_is_proven_by_it(acme: Tenant) -> None:
    closing.close_all(NOW, known())
    proof = proving.prove(acme.customer, SEPTEMBER, NOW, known())
    assert proof.differences == []
    assert (proof.whole, proof.log_from, proof.log_until) == (True, at(9, 1).date(), at(10, 1).date())
    assert proof.stated is not None
    assert proof.stated.counted == proof.counted.counted
    assert (proof.counted.pushes, proof.counted.devices, proof.counted.phones) == (6, 3, 2)


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE delivery_hour SET pushes = pushes + 1 WHERE grain = 0 AND at = '2026-09-10T10:00Z'", "pushes"),
        ("DELETE FROM delivery_hour WHERE grain = 0 AND at = '2026-09-30T23:00Z'", "pushes"),
        ("UPDATE delivery_active_device SET days = days | 8", "devices"),
        ("DELETE FROM delivery_active_device WHERE server_id = 77", "devices"),
        ("DELETE FROM delivery_delivery WHERE device LIKE 'a%'", "pushes"),
    ],
)
def test_each_count_that_was_changed_is_found(acme: Tenant, statement: str, what: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
    found = proving.prove(acme.customer, SEPTEMBER, NOW, known()).differences
    assert what in {each.what for each in found}


def test_a_closed_month_that_states_something_else_is_found(acme: Tenant) -> None:
    closing.close_all(NOW, known())
    pushes(acme, at(9, 12), 1)
    found = proving.prove(acme.customer, SEPTEMBER, NOW, known()).differences
    assert ("pushes", "", None, {"stated": 6, "counted": 7}) in found
    assert ("pushes", "2026-09-12", None, {"stated": 0, "counted": 1}) in found


def test_of_an_older_month_the_days_that_the_log_still_has_are_proven(acme: Tenant) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM delivery_delivery WHERE accepted_at < '2026-09-05'")
    proof = proving.prove(acme.customer, SEPTEMBER, at(10, 20), known())
    assert (proof.differences, proof.whole, proof.log_from) == ([], False, at(9, 5).date())
    later = proving.prove(acme.customer, SEPTEMBER, at(12, 20), known())
    assert (later.differences, later.log_from, later.counted.pushes) == ([], None, 6)


def test_the_command_prints_what_was_compared(acme: Tenant, settings: Settings) -> None:
    settings.RETENTION_DAYS = 3_650
    shown = run("show", "--customer", "acme", "--month", "2026-09")
    assert (shown["pushes"], shown["devices"], shown["phones"], shown["closed_at"]) == (6, 3, 2, None)
    found = run("recompute", "--customer", "acme", "--month", "2026-09")
    assert (found["differences"], found["log"]["whole_month"], found["counted"]["pushes"]) == ([], True, 6)


@pytest.fixture
def last_month(db: None) -> tuple[Tenant, Month]:
    """A customer that was taken on last month; by the real clock, which commands go by."""
    made, month = tenant("Cosmos"), months.moved(months.month_of(timezone.now()), -1)
    month = month if months.ripe(month, timezone.now()) else months.moved(month, -1)
    since(made.customer, months.begins(month))
    return made, month


def test_a_difference_is_exit_code_1_and_is_corrected_only_when_that_is_asked_for(
    last_month: tuple[Tenant, Month],
) -> None:
    whose, month = last_month
    assert run("close")["written"] == 1
    pushes(whose, months.begins(month) + timedelta(days=1), 9)
    words = ("--customer", "cosmos", "--month", months.text(month))
    found = run("recompute", *words)
    assert "differ" in found["failed"]
    assert (found["corrected"], found["stated"]["pushes"], found["counted"]["pushes"]) == (False, 0, 9)
    assert UsageCorrection.objects.count() == 0
    assert run("recompute", *words, "--correct", "a segment was found")["corrected"] is True
    assert UsageCorrection.objects.get().reason == "a segment was found"
    assert run("show", *words)["corrections"][0]["pushes_before"] == 0


@pytest.mark.parametrize(
    ("month", "why"), [("2099-01", "has not begun"), ("nov", "year and month"), ("2001-01", "the earliest")]
)
def test_bad_months_are_said(month: str, why: str) -> None:
    tenant("Acme")
    for verb in ("show", "recompute"):
        assert why in run(verb, "--customer", "acme", "--month", month)["failed"]
    assert "nobody" in run("show", "--customer", "nobody")["failed"]


def test_a_month_that_runs_is_not_corrected() -> None:
    tenant("Acme")
    assert "not closed" in run("recompute", "--customer", "acme", "--correct", "x")["failed"]
