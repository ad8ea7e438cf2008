"""Records when keys were last used, and with which server_ids: a second one means a cloned server or a leaked key."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from django.db import connection, transaction

# Characters of a server_id that are kept; Mattermost's have 26.
SERVER_ID_MAX_LENGTH: Final = 64
# Server_ids that are kept for one key: enough to see that something is wrong, and no more for whoever makes them up.
SERVER_IDS_PER_KEY_MAX: Final = 20

_UPDATE_LAST_USED: Final = """
UPDATE tenants_serverkey AS key SET last_used_at = news.at
FROM (SELECT id, max(at) AS at FROM unnest(%s::bigint[], %s::timestamptz[]) AS seen (id, at) GROUP BY id) AS news
WHERE key.id = news.id AND (key.last_used_at IS NULL OR key.last_used_at < news.at)
"""
_UPSERT_SIGHTINGS: Final = """
INSERT INTO tenants_sighting (key_id, mattermost_id, first_at, last_at)
SELECT id, name, first_at, last_at
FROM (
    SELECT news.*, same.key_id IS NOT NULL AS known,
        (SELECT count(*) FROM tenants_sighting AS other WHERE other.key_id = news.id)
            + row_number() OVER (PARTITION BY news.id, same.key_id IS NULL ORDER BY news.first_at, news.name) AS place
    FROM (
        SELECT id, name, min(at) AS first_at, max(at) AS last_at
        FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[]) AS seen (id, name, at)
        GROUP BY id, name
    ) AS news
    JOIN tenants_serverkey AS key ON key.id = news.id
    LEFT JOIN tenants_sighting AS same ON same.key_id = news.id AND same.mattermost_id = news.name
) AS placed
WHERE known OR place <= %s
ORDER BY id, name  -- two writers at once meet in one order
ON CONFLICT (key_id, mattermost_id)
DO UPDATE SET last_at = greatest(tenants_sighting.last_at, excluded.last_at)
"""


def record(sightings: Sequence[tuple[int, str, int]]) -> None:
    """Record sightings: (id of the key, server_id, unix seconds), to the minute. Keys that are gone are left out."""
    ids = [key_id for key_id, _, _ in sightings]
    names = [name.replace("\0", "")[:SERVER_ID_MAX_LENGTH] for _, name, _ in sightings]
    moments = [datetime.fromtimestamp(at - at % 60, UTC) for _, _, at in sightings]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_UPDATE_LAST_USED, (ids, moments))
        cursor.execute(_UPSERT_SIGHTINGS, (ids, names, moments, SERVER_IDS_PER_KEY_MAX))
