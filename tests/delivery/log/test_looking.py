"""Rows of an id are found over all days, the latest days first, and no further than is needed."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from delivery.log import looking
from delivery.models import Delivery
from tenants.keyset import Cursor
from tests.delivery.rollups.pushes import HOUR, SENT, write

pytestmark = pytest.mark.django_db
DEVICE = "d" * 32
DAYS = (0, 1, 1, 3, 7, 9, 9, 20, 44)


@pytest.fixture
def rows() -> "QuerySet[Delivery]":
    now = (datetime.now(UTC) - HOUR).total_seconds() - 60
    for number, days in enumerate(DAYS):
        write(f"a{number}", now - days * 86_400 - number, SENT, device=DEVICE)
    write("other", now, SENT, device="e" * 32)
    return Delivery.by_id.filter(device=DEVICE)


def test_all_are_found_the_latest_first_whatever_the_size_of_a_page(rows: "QuerySet[Delivery]") -> None:
    for size in (1, 2, 3, 100):
        seen: list[str] = []
        before: Cursor | None = None
        while found := looking.latest(rows, size, before):
            seen += [row.trace for row in found]
            before = Cursor(found[-1].accepted_at, found[-1].trace)
        assert seen == [f"a{number}" for number in range(len(DAYS))]


@pytest.mark.parametrize(("most", "looks"), [(1, 1), (3, 1), (4, 2), (7, 3), (8, 4), (9, 5), (100, 5)])
def test_older_days_are_looked_at_only_where_the_latest_are_not_enough(
    rows: "QuerySet[Delivery]", most: int, looks: int
) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert len(looking.latest(rows, most)) == min(most, len(DAYS))
    assert len(queries) == looks


def test_no_day_is_looked_at_before_the_first_that_is_known(rows: "QuerySet[Delivery]") -> None:
    since = datetime.now(UTC) - timedelta(days=1, hours=1)
    with CaptureQueriesContext(connection) as queries:
        found = looking.latest(rows, 100, since=since)
    assert [row.trace for row in found] == ["a0", "a1", "a2"]
    assert len(queries) == 1


def test_the_spans_of_the_looks_follow_each_other_without_a_gap() -> None:
    now = datetime.now(UTC)
    for since in (None, now - timedelta(days=1), now - timedelta(days=5), now - timedelta(days=30)):
        bounds = [dict(span.children) for span in looking._spans(now, since)]
        starts = [each.get("accepted_at__gte") for each in bounds]
        assert bounds[0]["accepted_at__lt"] == now
        assert starts[-1] == since
        assert all(later["accepted_at__gte"] == earlier["accepted_at__lt"] for later, earlier in pairwise(bounds))
