"""How far the delivery log, and the rollups with it, are written: since when the figures of pages stand."""

from datetime import UTC, datetime
from typing import Final, cast

from django.conf import settings

from delivery.log.writing import WRITTEN_AT
from tenants import redis_client

# Seconds that a page waits for Valkey.
TIMEOUT: Final = 0.5


def written_at() -> datetime | None:
    """When all rows that had come until then were written, by Valkey's clock; None if none ever was.

    Raises redis.RedisError.
    """
    store = redis_client.shared(settings.REDIS_URL, TIMEOUT)
    found = cast("bytes | None", store.get(WRITTEN_AT))
    return datetime.fromtimestamp(int(found), UTC) if found else None
