"""The list of pushes, page by page and as CSV."""

import csv
import gzip
import io
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from delivery.outcomes import judge
from delivery.pages import push_reading, pushes
from delivery.pages.deadline import TooSlowError, deadline
from delivery.pages.filters import parse
from delivery.pages.push_reading import Window
from tenants import keyset, scope
from tenants.keyset import Cursor
from tests.delivery.pages.log_rows import acknowledge, count, trace_of, write
from tests.tenants.conftest import Cast

pytestmark = pytest.mark.django_db
PUSHES = "/c/acme/delivery/pushes/"
CSV = "/c/acme/delivery/pushes.csv"
REFUSED = judge.refusal("no_app")


def keys(text: str) -> list[str]:
    """The traces of the rows of a page."""
    return re.findall(r'data-key="([^"]+)"', text)


def test_pushes_are_listed_page_by_page_the_newest_first_and_others_never(cast: Cast) -> None:
    traces = [write(number, cast.acme, ago=10_000 - number // 3) for number in range(120)]
    write(999, cast.cosmos)
    count()
    seen, address = [], PUSHES
    while address:
        text = cast.ben.get(address).content.decode()
        assert "120 pushes in the last 24 hours" in text
        seen += keys(text)
        rest = text.partition('<a class="button" rel="next" href="')[2]
        address = PUSHES + rest.partition('"')[0].replace("&amp;", "&") if rest else ""
    assert sorted(seen) == sorted(traces)
    assert len(seen) == 120
    assert seen[0] > seen[-1]


def test_their_number_is_that_of_the_range_to_the_minute_and_not_of_whole_hours(cast: Cast) -> None:
    trace = write(1, cast.acme, ago=3_000)
    write(2, cast.acme, ago=3_700)
    count()
    text = cast.ben.get(f"{PUSHES}?range=1h").content.decode()
    assert "1 push in the last hour" in text
    assert keys(text) == [trace]


def test_what_was_never_counted_is_listed_all_the_same(cast: Cast) -> None:
    trace = write(1, cast.acme, REFUSED)
    assert keys(cast.ben.get(f"{PUSHES}?code=no_app").content.decode()) == [trace]
    # As rows of before there were counts.
    old = write(2, cast.acme, REFUSED, ago=7_300)
    count()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM delivery_hour WHERE at < now() - interval '90 minutes'")
    assert keys(cast.ben.get(f"{PUSHES}?code=no_app").content.decode()) == [trace, old]


def test_a_row_says_what_became_of_the_push_and_delivered_only_where_a_phone_acknowledged(cast: Cast) -> None:
    ack = "z" * 26
    delivered = write(1, cast.acme, ack_id=ack)
    handed = write(2, cast.acme, ack_id="y" * 26, ended=0.34)
    refused = write(3, cast.acme, REFUSED, count=12, app=None)
    acknowledge(cast.acme, ack)
    acknowledge(cast.cosmos, "y" * 26)
    count()
    rows = {
        key: re.sub(r"<[^>]+>|\s+", " ", row)
        for key, row in re.findall(
            r'<tr data-key="([^"]+)"(.*?)</tr>', cast.ben.get(PUSHES).content.decode(), flags=re.DOTALL
        )
    }
    assert "Delivered" in rows[delivered]
    assert "chat.acme.example" in rows[delivered]
    assert "Handed off" in rows[handed]
    assert "340 ms" in rows[handed]
    assert "Refused" in rows[refused]
    assert "no_app" in rows[refused]
    assert "(12 pushes)" in rows[refused]


def test_few_pushes_among_many_are_looked_for_only_in_the_hours_that_have_them(cast: Cast) -> None:
    rare = write(1, cast.acme, REFUSED, ago=20 * 3600)
    for number in range(2, 20):
        write(number, cast.acme, ago=number * 3600)
    count()
    with CaptureQueriesContext(connection) as queries:
        assert keys(cast.ben.get(f"{PUSHES}?outcome=failures").content.decode()) == [rare]
    of_log = [each["sql"] for each in queries if 'FROM "delivery_delivery"' in each["sql"]]
    # The hour that has it, and the time before anything was counted.
    assert len(of_log) == 2


def test_neighbouring_hours_are_one_window_and_what_is_dropped_is_not_looked_for(cast: Cast) -> None:
    write(1, cast.acme, ago=3 * 3600)
    write(2, cast.acme, ago=4 * 3600)
    write(3, cast.acme, ago=8 * 3600)
    count()
    with scope.customer(cast.acme.customer):
        request = RequestFactory().get("/", {"range": "90d"})
        found = push_reading.windows(parse(request), None)
        kept = datetime.now(UTC) - timedelta(days=settings.RETENTION_DAYS + 1)
    assert [round((each.end - each.start) / timedelta(hours=1)) for each in found][:2] == [2, 1]
    assert abs(found[2].start - kept) < timedelta(minutes=1)
    days = list(push_reading._parts(Window(kept, kept + timedelta(hours=50)), timedelta(days=1)))
    assert [each.end - each.start for each in days] == [timedelta(days=1), timedelta(days=1), timedelta(hours=2)]


def test_the_list_is_read_by_an_index_in_its_order_in_the_days_of_its_range_alone(cast: Cast) -> None:
    write(1, cast.acme)
    count()
    with scope.customer(cast.acme.customer):
        filters = parse(RequestFactory().get("/", {"range": "1h"}))
        window = Window(filters.start, filters.end)
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        plan = push_reading.of_window(filters, window, None)[:50].explain()
    assert "customer_id" in plan.partition("Index Cond")[2]
    assert "accepted_at" in plan.partition("Index Cond")[2]


def test_a_search_that_takes_too_long_ends_and_says_what_to_do(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    write(1, cast.acme)

    def slow(*_args: object) -> object:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(20)")

    monkeypatch.setattr(push_reading, "of_window", slow)
    monkeypatch.setattr(push_reading.page, "__defaults__", (0.2,))
    answer = cast.ben.get(PUSHES)
    assert answer.status_code == 200
    assert "Narrow the range" in answer.content.decode()


def test_a_deadline_ends_statements_and_leaves_the_transaction_as_it_was(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout')")
        before = cursor.fetchone()
        with pytest.raises(TooSlowError), deadline(0.1):
            cursor.execute("SELECT pg_sleep(20)")
        with pytest.raises(TooSlowError), deadline(-1):
            pass
        with deadline(9) as limit:
            limit()
        cursor.execute("SELECT current_setting('statement_timeout')")
        assert cursor.fetchone() == before


@pytest.mark.parametrize(
    "before", ["x", "~", "2026-01-01~1", f"2026-01-01T00:00:00Z~{'9' * 41}", "0001-01-01T00:00:00+23:59~1"]
)
def test_a_place_that_is_none_is_the_beginning(cast: Cast, before: str) -> None:
    trace = write(1, cast.acme)
    assert keys(cast.ben.get(PUSHES, {"before": before}).content.decode()) == [trace]


def test_a_place_survives_being_written_down() -> None:
    cursor = Cursor(datetime(2026, 9, 21, 14, 0, 0, 123456, UTC), trace_of(7))
    assert keyset.parse(str(cursor)) == cursor


def test_a_range_from_before_pushes_are_kept_says_so(cast: Cast) -> None:
    kept = f"Single pushes are kept for {settings.RETENTION_DAYS} days"
    assert kept in cast.ben.get(f"{PUSHES}?range=90d").content.decode()
    assert "Single pushes are kept" not in cast.ben.get(f"{PUSHES}?range=7d").content.decode()


def test_a_list_without_a_push_says_why(cast: Cast) -> None:
    assert "No push came in this time" in cast.ben.get(PUSHES).content.decode()
    assert "No push fits these filters" in cast.ben.get(f"{PUSHES}?outcome=gone").content.decode()


def test_the_whole_list_is_taken_along_as_csv(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("delivery.pages.pushes.CHUNK_SIZE", 7)
    for number in range(20):
        write(number, cast.acme, ago=600 - number // 2, ack_id="z" * 26 if number == 3 else "")
    write(99, cast.cosmos)
    acknowledge(cast.acme, "z" * 26)
    count()
    rows = list(csv.reader(io.StringIO(cast.ben.body(CSV).decode())))
    assert rows[0][:3] == ["time", "trace", "server"]
    assert len(rows) == 21
    assert sorted(row[1] for row in rows[1:]) == [trace_of(number) for number in range(20)]
    assert next(row[11] for row in rows if row[13] == "z" * 26).isdigit()
    assert len(cast.ben.body(f"{CSV}?outcome=gone").decode().splitlines()) == 1


def test_csv_is_one_pack_and_what_a_spreadsheet_would_take_for_a_formula_is_none(cast: Cast) -> None:
    cast.acme.server.name = "=1+1"
    cast.acme.server.save()
    write(1, cast.acme, platform="@SUM(1)")
    answer = cast.ben.get(CSV, headers={"Accept-Encoding": "gzip"})
    assert answer["Content-Encoding"] == "gzip"
    plain = cast.ben.body(CSV).decode()
    (row,) = list(csv.reader(io.StringIO(plain)))[1:]
    assert (row[2], row[4]) == ("'=1+1", "'@SUM(1)")


async def test_pieces_are_packed_as_one_stream_of_gzip() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a,b\r\n"
        yield b"c,d\r\n" * 10_000

    packed = b"".join([part async for part in pushes._packed(pieces())])
    assert gzip.decompress(packed) == b"a,b\r\n" + b"c,d\r\n" * 10_000
