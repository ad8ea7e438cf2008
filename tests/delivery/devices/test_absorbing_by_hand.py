"""Absorbing by hand, while a worker does it."""

import io
from threading import Thread
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from delivery.devices import facts
from tests.waiting import PATIENCE, wait_for

_WAITING = """
SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database
WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"""


@pytest.mark.django_db(transaction=True)
def test_who_absorbs_by_hand_waits_for_the_worker_that_absorbs_this_moment() -> None:
    parameters: dict[str, Any] = connection.get_connection_params() | {
        "cursor_factory": psycopg.Cursor,
        "options": "-c lock_timeout=5s",
    }
    released: list[bool] = []
    with psycopg.connect(**parameters) as worker:
        worker.execute(f"SELECT pg_advisory_xact_lock({facts.LOCK})")

        def hold() -> None:
            wait_for(lambda: worker.execute(_WAITING).fetchone(), PATIENCE, "somebody waits for the lock")
            released.append(True)
            worker.commit()

        thread = Thread(target=hold)
        thread.start()
        call_command("devices", "absorb", stdout=io.StringIO())
        assert released
        thread.join(PATIENCE)
