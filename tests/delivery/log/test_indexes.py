"""The indexes of the log."""

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db


def test_no_index_grows_slower_by_what_is_equal() -> None:
    """A hash index walks along all equal entries at each insertion: one phone of a load test would stop the log."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass::text, amname FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid "
            "JOIN pg_am ON pg_am.oid = relam WHERE indrelid IN ('delivery_delivery'::regclass, "
            "'delivery_receipt'::regclass)"
        )
        methods = dict(cursor.fetchall())
    assert {"delivery_by_ack", "delivery_by_post", "delivery_by_device"} < set(methods)
    assert set(methods.values()) == {"btree"}
