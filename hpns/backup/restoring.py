"""Restores a backup into an empty database: `manage.py restore`."""

import io
import json
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from hpns.backup import folder, programs
from hpns.backup.folder import Backup
from hpns.backup.settings_kept import lacking
from tenants.audit import recording
from tenants.directory import version_stamp
from tenants.problem import ProblemError

_TABLES = """
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
"""


def keys(path: Path, passphrase: str) -> dict[str, str]:
    """The settings that a backup keeps, in the clear, for whoever sets up another machine. Raises ProblemError."""
    settings: dict[str, str] = _decrypted(folder.opened(path, passphrase))["settings"]
    return settings


def restore(path: Path, passphrase: str) -> dict[str, Any]:
    """Fill the empty database of the settings. What was done, for people.

    First everything is looked at that could be wrong, then the database comes in one transaction; an older backup is
    brought up to this version. Raises ProblemError.
    """
    backup = folder.opened(path, passphrase)
    inside = _decrypted(backup)
    if wrong := lacking(inside["settings"]):
        raise ProblemError(
            f"{' and '.join(wrong)} must be those of the backup, or it cannot be used: `restore --keys` prints them"
        )
    _reject_newer_backup(inside["migrations"], backup.version)
    _reject_non_empty_database()
    programs.restore(partial(backup.read, folder.DATABASE))
    connection.close()  # it knows nothing of the tables that have come
    call_command("migrate", verbosity=0, interactive=False)
    call_command("database_roles", verbosity=0)
    recording.record("backup.restore", customer=None, target=path, made_at=backup.made_at)
    notified = version_stamp.bump()
    return {
        "restored_from": str(path),
        "made_at": backup.made_at,
        "made_by_version": backup.version,
        "processes_told": notified,
        "lost": "what was accepted after the backup, and changes since; phones and servers need nothing",
    }


def _decrypted(backup: Backup) -> dict[str, Any]:
    content = io.BytesIO()
    backup.read(folder.KEYS, content)
    inside: dict[str, Any] = json.loads(content.getvalue())
    return inside


def _reject_newer_backup(migrations: list[list[str]], version: str) -> None:
    known = MigrationLoader(None).disk_migrations
    unknown = next((f"{app}.{name}" for app, name in migrations if (app, name) not in known), None)
    if unknown:
        raise ProblemError(
            f"the backup is of version {version}, whose migration {unknown} is not known here: use that version"
        )


def _reject_non_empty_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        (there,) = cursor.fetchone()
    if there:
        raise ProblemError(f"the database is not empty ({there} tables and such): give DATABASE_URL an empty one")
