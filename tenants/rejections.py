"""Records which requests were rejected at the door, by key, code and address; and forgets them again.

Whoever knows the beginning of a key can cause entries, so that there are at most ADDRESSES_MAX addresses for one key
and code: what comes from others is counted under no address.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from tenants.models import Rejection

ADDRESSES_MAX: Final = 20
# After so long without any they are counted anew: "400 since three weeks" says nothing of the four of today.
SPELL: Final = "1 day"

_UPSERT: Final = """
INSERT INTO tenants_rejection AS known (key_id, code, address, count, first_at, last_at, encrypted, tls, guessed)
SELECT news.*
FROM unnest(
    %s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::timestamptz[], %s::timestamptz[], %s::boolean[], %s::text[],
    %s::boolean[]
) AS news (key_id, code, address, count, first_at, last_at, encrypted, tls, guessed)
JOIN tenants_serverkey AS key ON key.id = news.key_id
ORDER BY news.key_id, news.code, news.address  -- two writers at once meet in one order
ON CONFLICT (key_id, code, address) DO UPDATE SET
    count = excluded.count + CASE WHEN known.last_at < excluded.first_at - %s::interval THEN 0 ELSE known.count END,
    first_at = CASE WHEN known.last_at < excluded.first_at - %s::interval THEN excluded.first_at
        ELSE least(known.first_at, excluded.first_at) END,
    last_at = greatest(known.last_at, excluded.last_at),
    encrypted = CASE WHEN excluded.last_at >= known.last_at THEN excluded.encrypted ELSE known.encrypted END,
    tls = CASE WHEN excluded.last_at >= known.last_at THEN excluded.tls ELSE known.tls END,
    guessed = known.guessed AND excluded.guessed
"""


# Key, code and address: what rejections are told apart by.
Place = tuple[int, str, str]


class News(NamedTuple):
    """Rejections of one kind that one process has seen. first_at, last_at: unix seconds; guessed: none named it."""

    key_id: int
    code: str
    address: str
    requests: int
    first_at: int
    last_at: int
    encrypted: bool
    tls: str
    guessed: bool = False

    @property
    def place(self) -> Place:
        """What the table tells them apart by."""
        return self[:3]


def record(news: Sequence[News]) -> None:
    """Add rejections to what is known. Those of keys that are gone are left out. Raises django.db.Error."""
    with transaction.atomic(), connection.cursor() as cursor:
        rows = _within_bounds(news)
        columns = list(zip(*rows, strict=True))
        if not columns:
            return
        moments = [[datetime.fromtimestamp(at, UTC) for at in columns[place]] for place in (4, 5)]
        cursor.execute(_UPSERT, (*map(list, columns[:4]), *moments, *map(list, columns[6:]), SPELL, SPELL))


def forget() -> int:
    """Delete what is older than the delivery log; how many rows."""
    before = timezone.now() - timedelta(days=settings.RETENTION_DAYS)
    return Rejection.objects.filter(last_at__lt=before).delete()[0]


def _within_bounds(news: Sequence[News]) -> list[News]:
    """The same with one entry for each place, those of further addresses under none."""
    known: dict[tuple[int, str], set[str]] = {}
    keys = {each.key_id for each in news}
    for key_id, code, address in Rejection.objects.filter(key_id__in=keys).values_list("key_id", "code", "address"):
        known.setdefault((key_id, code), set()).add(address)
    found: dict[Place, News] = {}
    for each in news:
        addresses = known.setdefault((each.key_id, each.code), set())
        one = each
        if each.address not in addresses:
            if len(addresses) >= ADDRESSES_MAX:
                one = each._replace(address="")
            addresses.add(one.address)
        before = found.get(one.place)
        found[one.place] = _sum(before, one) if before else one
    return list(found.values())


def _sum(one: News, other: News) -> News:
    last = max(one, other, key=lambda each: each.last_at)
    return last._replace(
        requests=one.requests + other.requests,
        first_at=min(one.first_at, other.first_at),
        guessed=one.guessed and other.guessed,
    )
