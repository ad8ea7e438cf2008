"""Publishes the status: files in STATUS_DIR, and a copy in the cache for the pages.

Invariant: a file is whole at any moment: it is written beside its place and renamed. Where nobody publishes, the pages
make the documents themselves, and the files say how old they are.
"""

import logging
import os
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.cache import cache
from redis.exceptions import RedisError

from billing.incidents import status
from billing.incidents.rendering import Documents, documents

logger = logging.getLogger(__name__)

KEPT: Final = "status:documents"
# Seconds: the timetable comes every minute, and a page that finds nothing makes it anew.
SECONDS: Final = 90
FILES: Final = {"html": "index.html", "json": "status.json", "atom": "feed.atom"}


def publish(now: datetime) -> list[Path]:
    """Make the documents anew, keep them for the pages and write the files; those that were written.

    Raises OSError for a folder that cannot be written to, django.db.Error.
    """
    made = documents(status.read(now))
    _keep(made)
    return write(made, Path(settings.STATUS_DIR)) if settings.STATUS_DIR else []


def write(made: Documents, folder: Path) -> list[Path]:
    """Write the documents into a folder, each at once. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, file in FILES.items():
        handle, beside = tempfile.mkstemp(dir=folder, prefix=f".{file}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(getattr(made, name))
                out.flush()
                os.fsync(out.fileno())
            # For whatever serves it: mkstemp makes a file for its owner alone.
            Path(beside).chmod(0o644)
            written.append(Path(beside).replace(folder / file))
        except OSError:
            Path(beside).unlink(missing_ok=True)
            raise
    return written


def _keep(made: Documents) -> None:
    try:
        cache.set(KEPT, tuple(made), SECONDS)
    except RedisError as error:
        logger.warning("the status cannot be kept for the pages: %s", error)


def kept() -> Documents | None:
    """The documents as they were published last; None: nobody has for a while."""
    try:
        found: Any = cache.get(KEPT)
    except RedisError:
        return None
    return Documents(*found) if isinstance(found, tuple) and len(found) == len(Documents._fields) else None


def current(now: datetime) -> Documents:
    """The same, made now where there are none. Raises django.db.Error."""
    found = kept()
    if found is None:
        found = documents(status.read(now))
        _keep(found)
    return found
