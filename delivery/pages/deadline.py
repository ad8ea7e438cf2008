"""Deadline of a page's queries that may have much to read: statement_timeout, for a part of its transaction.

https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-STATEMENT-TIMEOUT
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from django.db import OperationalError, connection, transaction
from psycopg.errors import QueryCanceled

_SET: Final = "SELECT set_config('statement_timeout', %s, true)"
# A statement that begins at the last moment gets so many seconds all the same: 0 would mean no timeout at all.
LEAST: Final = 0.05


class TooSlowError(Exception):
    """The queries took longer than they may. The transaction goes on as it was before them."""


@contextmanager
def deadline(seconds: float) -> Iterator[Callable[[], None]]:
    """Let the queries of the block take so many seconds together; call what it yields before each of them.

    Raises TooSlowError when they took longer.
    """
    until = monotonic() + seconds
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout')")
        (before,) = cursor.fetchone()

        def limit() -> None:
            left = until - monotonic()
            if left <= 0:
                raise TooSlowError
            cursor.execute(_SET, (str(round(max(left, LEAST) * 1000)),))

        try:
            limit()
            yield limit
        except OperationalError as error:
            if isinstance(error.__cause__, QueryCanceled):
                raise TooSlowError from error
            raise
        cursor.execute(_SET, (before,))
