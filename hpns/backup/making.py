"""Makes a backup: `manage.py backup`."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from hpns import version
from hpns.backup import folder, programs
from hpns.backup.folder import Clear
from hpns.backup.sealing import SALT_BYTES, Seal, Work
from hpns.backup.settings_kept import kept
from tenants.audit import recording


def make(path: Path, passphrase: str) -> dict[str, Any]:
    """Back everything up into the folder `path`, which is made or empty. What it holds, for people.

    The service goes on meanwhile: the database is that of one moment. Raises ProblemError.
    """
    clear = Clear(timezone.now().isoformat(timespec="seconds"), version.VERSION, os.urandom(SALT_BYTES), Work())
    seal = Seal(passphrase, clear.salt, clear.work)
    folder.make(path)
    # In the copy, too: whoever holds it holds everything.
    recording.record("backup.make", customer=None, target=path)
    with _moment() as (snapshot, migrations):
        inside = {"settings": kept(), "migrations": migrations, "made_at": clear.made_at}
        keys = folder.write(path / folder.KEYS, seal.close(folder.KEYS, [json.dumps(inside).encode()]))
        database = folder.write(path / folder.DATABASE, seal.close(folder.DATABASE, programs.dump(snapshot)))
    folder.write_clear(path, clear)
    return {
        "folder": str(path),
        "made_at": clear.made_at,
        "bytes": keys + database,
        "holds": ["the database", *(f"{name} of the settings" for name in kept())],
        "lacks": ["what waits in Valkey's queue", "the other settings", "TLS certificates"],
        "retention_days": settings.RETENTION_DAYS,
    }


@contextmanager
def _moment() -> Iterator[tuple[str, list[list[str]]]]:
    """Export a snapshot of the database for pg_dump (--snapshot), with the migrations applied in it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        snapshot = str(cursor.fetchone()[0])
        cursor.execute("SELECT app, name FROM django_migrations ORDER BY app, name")
        yield snapshot, [list(row) for row in cursor.fetchall()]
