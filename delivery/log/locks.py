"""Statements that need a strong lock on the log's tables, without holding up the log.

PostgreSQL grants locks in the order in which they are asked for: whoever waits for ACCESS EXCLUSIVE behind a long
reader, such as a backup, makes every writer and page that comes after it wait, too. So one waits for a moment only, and
then tries again. DETACH PARTITION ... CONCURRENTLY, which needs no such lock, is not to be had: PostgreSQL refuses it
where there is a default partition (https://www.postgresql.org/docs/current/sql-altertable.html).
"""

import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

from django.conf import settings
from django.db import OperationalError, connections, transaction
from psycopg.errors import DeadlockDetected, LockNotAvailable

T = TypeVar("T")

# How long one try waits for a lock, the pause between two, and how many there are: some seconds in all.
LOCK_TIMEOUT: Final = "200ms"
PAUSE: Final = 0.5
TRIES: Final = 10


def try_repeatedly(work: Callable[[Any], T], *, lock_timeout: str = LOCK_TIMEOUT) -> T:
    """Run `work(cursor)` in a transaction of the tables' owner, again while a lock is not to be had; its result.

    lock_timeout: of one try, as PostgreSQL writes it. Raises django.db.OperationalError when it was not to be had in
    TRIES tries (is_held() tells), and what `work` raises. Blocks.
    """
    alias = settings.OWNER_DATABASE
    tried = 0
    while True:
        try:
            with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
                cursor.execute("SELECT set_config('lock_timeout', %s, true)", [lock_timeout])
                return work(cursor)
        except OperationalError as error:
            tried += 1
            if tried >= TRIES or not is_held(error):
                raise
        time.sleep(PAUSE)


def is_held(error: OperationalError) -> bool:
    """Whether this error says that somebody else held a lock."""
    return isinstance(error.__cause__, LockNotAvailable | DeadlockDetected)
