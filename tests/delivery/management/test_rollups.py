"""`manage.py rollups`: what differs from the log is found, and mended; what the log has no more is left alone."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from delivery.management.commands import rollups
from delivery.outcomes import judge
from delivery.rollups import rebuilding
from delivery.rollups.increments import Cell, Increments
from tests.delivery.rollups import comparing
from tests.delivery.rollups.pushes import HOUR, SENT, write

pytestmark = pytest.mark.django_db
SPAN = ("--from", "2026-09-21T14:00", "--to", "2026-09-21T16:00")


def run(*words: str) -> Any:
    out = io.StringIO()
    try:
        call_command("rollups", *words, stdout=out)
    except CommandError as error:
        return str(error), json.loads(out.getvalue()) if out.getvalue() else None
    return "", json.loads(out.getvalue())


@pytest.fixture(autouse=True)
def _pushes() -> None:
    write("a", 10, SENT)
    write("b", 3_700, judge.refusal("no_app"), count=9)
    rebuilding.rebuild(HOUR, HOUR + timedelta(hours=2))


def test_rollups_that_say_what_the_log_does_are_different_in_nothing() -> None:
    problem, report = run("check", *SPAN)
    assert (problem, report["different_cells"], report["differences"]) == ("", 0, [])


@pytest.mark.parametrize(
    ("damage", "cells"),
    [
        ("DELETE FROM delivery_hour WHERE pushes = 9", 2 + 2),
        ("DELETE FROM delivery_day WHERE pushes = 9", 2),
        ("UPDATE delivery_day SET acked = 1, receipt = '{257}'", 2 * 2),
        ("UPDATE delivery_minute SET pushes = pushes + 1 WHERE grain = 1", 2),
        ("UPDATE delivery_service_minute SET acked = 1", 2),
        ("UPDATE delivery_service_hour SET handoff = '{257}' WHERE pushes = 1", 1),
        ("INSERT INTO delivery_minute SELECT * FROM delivery_minute WHERE grain = 0 AND pushes = 9", 1),
        (
            "INSERT INTO delivery_hour SELECT at, 77, grain, server_id, app_id, family, type, outcome, code, "
            "attribution, counts, 1, 0, '{257}', '{}' FROM delivery_hour WHERE grain = 1 AND pushes = 9",
            1,
        ),
    ],
)
def test_any_difference_is_printed_and_mended(damage: str, cells: int) -> None:
    before = comparing.everything()
    with connection.cursor() as cursor:
        cursor.execute(damage)
    problem, report = run("check", *SPAN)
    assert "rollups rebuild" in problem
    assert report["different_cells"] == len(report["differences"]) == cells
    assert run("rebuild", *SPAN) == (
        "",
        {"from": "2026-09-21T14:00:00+00:00", "to": "2026-09-21T16:00:00+00:00", "rebuilt_hours": 2},
    )
    assert run("check", *SPAN)[0] == ""
    assert comparing.everything() == before


def test_increments_that_are_not_yet_merged_are_no_difference() -> None:
    write("c", 20, SENT, ended=0.3)
    cell = Cell(HOUR, 1, 2, 4, "apns", "message", "sent", SENT.code, SENT.attribution, SENT.counts_in_sla)
    made = Increments()
    made.push(cell, 1, 44)
    with connection.cursor() as cursor:
        made.write(cursor)
    problem, report = run("check", *SPAN)
    assert "not what the log counts to" in problem, "the bucket of 300 ms is another one"
    assert {row["log"]["pushes"] == row["rollups"]["pushes"] for row in report["differences"]} == {True}


def test_without_bounds_it_is_all_that_the_log_has() -> None:
    problem, report = run("check", "--to", "2026-09-22")
    assert (problem, report["from"]) == ("", "2026-09-21T00:00:00+00:00")
    start, end = rollups._span({"from": "", "to": ""})
    assert start.isoformat() == "2026-09-21T00:00:00+00:00"
    assert timedelta() < end - datetime.now(UTC) <= timedelta(hours=1)


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (
            ("--from", "2026-09-20T23:00", "--to", "2026-09-21T16:00"),
            "the log reaches back to 2026-09-21 00:00 UTC only",
        ),
        (("--from", "2026-09-21T14:30"), "whole hours"),
        (("--from", "2026-09-22", "--to", "2026-09-21"), "whole hours, the earlier bound first"),
        (("--from", "yesterday"), "'yesterday' is no date and no time"),
        (("--from", "2026-13-41"), "'2026-13-41' is no date and no time"),
    ],
)
@pytest.mark.parametrize("verb", ["check", "rebuild"])
def test_other_spans_are_refused_and_change_nothing(verb: str, words: tuple[str, ...], problem: str) -> None:
    before = comparing.everything()
    assert problem in run(verb, *words)[0]
    assert comparing.everything() == before


def test_an_empty_log_is_nothing_to_count_with() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM delivery_delivery")
    assert "the log is empty" in run("rebuild")[0]
