"""The search for the pushes of receipts goes by the index, however few rows a day has."""

import secrets

import pytest
from django.db import connection

from delivery.log import matching
from delivery.protocol import mattermost_id
from tests.delivery.rollups.pushes import HOUR, SENT, write

pytestmark = pytest.mark.django_db

READ = "SELECT coalesce(sum(seq_scan), 0) FROM pg_stat_xact_user_tables WHERE relname = 'delivery_other_days'"


def an_id() -> str:
    return mattermost_id.unpack(secrets.token_bytes(16))


def test_a_day_of_few_rows_is_not_read_once_for_each_receipt() -> None:
    names = [an_id() for _ in range(60)]
    for number, name in enumerate(names):
        write(f"t-{number}", number, SENT, ack_id=name)
    wanted = [(1, mattermost_id.pack(name) or b"") for name in [*names[:5], *(an_id() for _ in range(30))]]
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE delivery_other_days")
        cursor.execute(READ)
        (before,) = cursor.fetchone()
        found = matching.find(cursor, wanted, HOUR)
        found |= matching.find(cursor, wanted, HOUR.replace(year=2027), statement=matching.BEFORE)
        cursor.execute(READ)
        (after,) = cursor.fetchone()
    assert {push.trace for push in found.values()} == {f"t-{number}" for number in range(5)}
    assert after == before
