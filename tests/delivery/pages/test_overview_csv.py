"""The counts of the delivery page as CSV."""

import csv
import io
from datetime import datetime, timedelta

import pytest

from delivery.pages.overview_csv import COLUMNS
from delivery.rollups import rebuilding
from tenants.models import Server
from tests.browsing import Browser
from tests.delivery.pages.busy import ANDROID, IPHONE, KEY_REFUSED, Pushes
from tests.delivery.rollups.pushes import SENT
from tests.tenants.conftest import Cast

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("valkey")]
CSV = "/c/acme/delivery/counts.csv"


def rows(browser: Browser, query: str = "") -> list[dict[str, str]]:
    """The lines of a download."""
    return list(csv.DictReader(io.StringIO(browser.body(f"{CSV}?{query}").decode())))


@pytest.fixture
def made(cast: Cast) -> Pushes:
    made = Pushes(cast.acme)
    made.write(5, SENT, **IPHONE, acked=2, ended=0.2)
    made.write(5, SENT, **IPHONE, ended=0.2)
    made.write(125, KEY_REFUSED, **IPHONE)
    made.write(125, SENT, **ANDROID, count=7)
    made.count()
    return made


def test_it_holds_every_push_of_the_range_once_by_all_that_tells_them_apart(cast: Cast, made: Pushes) -> None:
    found = rows(cast.ben)
    assert tuple(found[0]) == COLUMNS
    assert sorted((row["platform"], row["code"], row["pushes"], row["acked"]) for row in found) == [
        ("apns", "apns_invalid_provider_token", "1", "0"),
        ("apns", "sent", "2", "1"),
        ("fcm", "sent", "7", "0"),
    ]
    (refused,) = (row for row in found if row["code"] != "sent")
    assert refused["cause"] == "Apple refused the signing token made with the app's key"
    assert (refused["whose"], refused["server"]) == ("your set-up", cast.acme.server.name)
    (sent,) = (row for row in found if row["acked"] == "1")
    assert 190 <= int(sent["handoff_p95_ms"]) <= 210
    assert 1_900 <= int(sent["receipt_p50_ms"]) <= 2_100


def test_steps_are_whole_and_follow_one_another(cast: Cast, made: Pushes) -> None:
    found = rows(cast.ben, "range=24h")
    assert [row["from"] for row in found] == sorted(row["from"] for row in found)
    begin, end = (datetime.fromisoformat(found[0][name]) for name in ("from", "to"))
    assert end - begin == timedelta(minutes=10)


def test_it_keeps_to_the_filters_of_the_page(cast: Cast, made: Pushes) -> None:
    assert [row["platform"] for row in rows(cast.ben, "family=fcm")] == ["fcm"]
    assert [row["code"] for row in rows(cast.ben, "outcome=failures")] == ["apns_invalid_provider_token"]
    assert {row["from"][:10] for row in rows(cast.ben, "range=1h")} == {f"{made.now - timedelta(minutes=5):%Y-%m-%d}"}


def test_a_server_that_is_named_like_a_formula_is_no_formula(cast: Cast, made: Pushes) -> None:
    Server.objects.filter(pk=cast.acme.server.pk).update(name="=cmd|' /C calc'!A0")
    assert {row["server"] for row in rows(cast.ben)} == {"'=cmd|' /C calc'!A0"}


def test_another_customers_pushes_are_not_in_it(cast: Cast, made: Pushes) -> None:
    other = Pushes(cast.cosmos, made.now)
    other.written = 500
    other.write(5, SENT, count=1_000)
    other.count()
    assert sum(int(row["pushes"]) for row in rows(cast.ben)) == 10


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_of_23_or_25_hours_is_one_step_with_all_of_its_pushes(cast: Cast, day: str, hours: int) -> None:
    begin = datetime.fromisoformat(f"{day}T00:00+00:00") - timedelta(hours=1 if hours == 23 else 2)
    made = Pushes(cast.acme, begin)
    for hour in range(-1, hours + 1):
        made.write(-60 * hour - 30, SENT)
    rebuilding.rebuild(begin - timedelta(hours=1), begin + timedelta(hours=hours + 1))
    cast.ben.cookies["tz"] = "Europe/Berlin"
    found = rows(cast.ben, "from=2026-02-01T00:00&to=2026-11-10T00:00")
    assert {row["from"][:10]: row["pushes"] for row in found}[day] == str(hours)


def test_it_comes_in_pieces_none_of_which_holds_it_all(cast: Cast, made: Pushes) -> None:
    answer = cast.ben.get(CSV)
    assert answer.streaming
    assert answer["Content-Disposition"] == 'attachment; filename="acme-delivery.csv"'
