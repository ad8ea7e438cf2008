"""Another session in the tests' own database, for what two sessions do to each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from django.db import connection


@contextmanager
def session(statement: LiteralString, *values: Any) -> Iterator["psycopg.Connection[Any]"]:
    """A session that has run this statement; its transaction is open until the end, and then rolled back."""
    database = connection.settings_dict
    with psycopg.connect(
        dbname=database["NAME"],
        host=database["HOST"],
        port=database["PORT"],
        user=database["USER"],
        password=database["PASSWORD"],
    ) as other:
        other.execute(statement, values)
        yield other
        other.rollback()
