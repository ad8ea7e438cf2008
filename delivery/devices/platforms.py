"""Platforms that each server was first seen to send for, such as apple_rn-v2: an update of the app brings a new one.

A server names its platforms itself, so that no more than PLATFORMS_PER_SERVER_MAX of one are kept, the earliest.
"""

from datetime import datetime
from typing import Any, Final

from delivery.protocol.policy import LONGEST_PLATFORM
from delivery.rollups.cells import FAMILY, OTHER

PLATFORMS_PER_SERVER_MAX: Final = 20

_ADD: Final = f"""
INSERT INTO delivery_platform_sighting AS old (customer_id, server_id, platform, first_at)
SELECT customer_id, server_id, platform, first_at
FROM (
    SELECT news.*, same.server_id IS NOT NULL AS known,
        (SELECT count(*) FROM delivery_platform_sighting AS other WHERE other.server_id = news.server_id)
            + row_number() OVER (PARTITION BY news.server_id, same.server_id IS NULL
                ORDER BY news.first_at, news.platform) AS place
    FROM (
        SELECT d.customer_id, d.server_id, d.platform, min(d.accepted_at) AS first_at
        FROM delivery_delivery d
        WHERE d.accepted_at >= %(start)s AND d.accepted_at < %(end)s AND {FAMILY} <> '{OTHER}'
            AND length(d.platform) <= {LONGEST_PLATFORM}
        GROUP BY 1, 2, 3
    ) AS news
    LEFT JOIN delivery_platform_sighting AS same
        ON same.server_id = news.server_id AND same.platform = news.platform
) AS placed
WHERE known OR place <= {PLATFORMS_PER_SERVER_MAX}
ON CONFLICT (server_id, platform) DO UPDATE SET first_at = EXCLUDED.first_at WHERE old.first_at > EXCLUDED.first_at
"""  # noqa: S608  of constants of ours


def add(cursor: Any, start: datetime, end: datetime) -> None:
    """Take in the rows accepted from `start` to before `end`; doing it again changes nothing. In the cursor's
    transaction. Raises django.db.Error."""
    cursor.execute(_ADD, {"start": start, "end": end})
