"""The roles of the service in the tests' database: what runs inside acting_as() has the power of one only.

The tests' own connection is a superuser's, whom no policy binds. Made once per process, with rights of
hpns.database_roles; each process of pytest-xdist has a database of its own, and roles named after it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

import psycopg
from django.db import connection
from psycopg import sql

from hpns import database_roles

PAGES: Final = database_roles.PAGES
WORKER: Final = database_roles.WORKER
DIRECTORY: Final = database_roles.DIRECTORY


@contextmanager
def acting_as(kind: str) -> Iterator[None]:
    """Whatever is asked of the database inside is asked as PAGES, WORKER or DIRECTORY."""
    name = sql.Identifier(_made(str(connection.settings_dict["NAME"]), kind))
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("SET ROLE {}").format(name))
    try:
        yield
    finally:
        # After an error that was let through the transaction takes no statement, and its end ends the role, too.
        if not connection.needs_rollback:
            with connection.cursor() as cursor:
                cursor.execute("RESET ROLE")


@cache
def _made(database: str, kind: str) -> str:
    name, values = f"{database}_{kind}", connection.settings_dict
    with psycopg.connect(
        dbname=database,
        host=values["HOST"] or None,
        port=values["PORT"] or None,
        user=values["USER"],
        password=values["PASSWORD"],
    ) as own:
        if own.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone() is None:
            power = "BYPASSRLS" if kind != PAGES else "NOBYPASSRLS"
            own.execute(sql.SQL("CREATE ROLE {} NOLOGIN {}").format(sql.Identifier(name), sql.SQL(power)))
        for statement in database_roles.grants(name, kind):
            own.execute(statement)
    return name
