"""What tests of billing leave behind."""

from collections.abc import Iterator

import pytest
from django.db import connection

from tests.delivery.rollups import comparing


@pytest.fixture(autouse=True)
def _leave_no_counts(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test with transactions of its own leaves rows, and Django empties only the tables that it manages."""
    marker = request.node.get_closest_marker("django_db")
    if marker is None or not marker.kwargs.get("transaction"):
        yield
        return
    request.getfixturevalue("transactional_db")
    yield
    comparing.empty()
    with connection.cursor() as cursor:
        for table in ("delivery_delivery", "delivery_receipt", "delivery_written_segment", "delivery_written_minute"):
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608  of the line above
