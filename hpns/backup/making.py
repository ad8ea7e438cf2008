"""Makes a backup: `manage.py backup`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from hpns import version
from hpns.backup import folder, programs
from hpns.backup.folder import DATABASE, KEYS
from hpns.backup.sealing import IDENTITY, Seal
from hpns.backup.settings_kept import kept
from tenants.audit import recording


def make(path: Path, passphrase: str) -> dict[str, Any]:
    """Back everything up into the folder `path`, which is made or empty. What it holds, for people.

    The service goes on meanwhile: the database is that of one moment. Raises ProblemError.
    """
    made_at = timezone.now().isoformat(timespec="seconds")
    seal = Seal.new(KEYS, DATABASE)
    identities = seal.identity_file(passphrase)
    folder.make(path)
    # In the copy, too: whoever holds it holds everything.
    recording.record("backup.make", customer=None, target=path)
    size = folder.write(path / IDENTITY, lambda file: file.write(identities))
    with _moment() as (snapshot, migrations):
        inside = json.dumps({"settings": kept(), "migrations": migrations, "made_at": made_at}).encode()
        for part, blocks in ((KEYS, [inside]), (DATABASE, programs.dump(snapshot))):
            size += folder.write(path / f"{part}{seal.suffix}", partial(seal.close, part, blocks))
    folder.write_clear(path, made_at, version.VERSION)
    return {
        "folder": str(path),
        "made_at": made_at,
        "bytes": size,
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
