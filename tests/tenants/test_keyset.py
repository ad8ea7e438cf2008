"""The cursor of lists that are paged by a time and a key."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tenants import keyset
from tenants.keyset import Cursor

AT = datetime(2026, 11, 18, 12, 26, 40, 123456, UTC)
KEY = "0123456789ab-7"


def test_a_cursor_stands_in_an_address_as_it_is_and_is_read_back_from_it() -> None:
    assert str(Cursor(AT, KEY)) == f"2026-11-18T12:26:40.123456Z~{KEY}"
    assert str(Cursor(AT.astimezone(timezone(timedelta(hours=2))), KEY)) == str(Cursor(AT, KEY))
    assert keyset.parse(str(Cursor(AT, KEY))) == Cursor(AT, KEY)
    assert keyset.parse(str(Cursor(AT, "7")), number=True) == Cursor(AT, "7")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "~",
        f"~{KEY}",
        "2026-01-01T00:00:00Z~",
        "2026-01-01~1",
        f"2026-01-01T00:00:00Z~{'9' * 41}",
        "0001-01-01T00:00:00+23:59~1",
        "9999-12-31T23:59:59-23:59~1",
    ],
)
def test_what_is_no_cursor_is_none(text: str) -> None:
    assert keyset.parse(text) is None


@pytest.mark.parametrize("key", [KEY, "-1", "9" * 20, "٣", "1.5"])
def test_a_key_that_is_no_number_of_a_row_is_none_where_one_is_wanted(key: str) -> None:
    assert keyset.parse(f"2026-01-01T00:00:00Z~{key}") is not None
    assert keyset.parse(f"2026-01-01T00:00:00Z~{key}", number=True) is None
