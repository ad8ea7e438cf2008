"""Looking pushes up in the log by an id, the latest days first.

A look at an index of each day costs more than what is found there: planning it, and on a service that has just started
reading it. Mostly what is looked for is of the last days, so these are looked at first, and the others only where the
rows are not enough. In the scope in force (tenants/scope.py).
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q, QuerySet
from django.utils import timezone

from delivery.models import Delivery
from tenants import keyset
from tenants.keyset import Cursor

DAY: Final = timedelta(days=1)
# Days of the first looks; the last one is at all that came before.
LOOKS: Final = (2, 4, 8, 16)
_AFTER: Final = timedelta(microseconds=1)


def latest(
    rows: "QuerySet[Delivery]", most: int, before: Cursor | None = None, since: datetime | None = None
) -> list[Delivery]:
    """The latest `most` of the rows behind a cursor, the latest first; since: that none of them is older is known."""
    if before is not None:
        rows = rows.filter(keyset.behind(before, "accepted_at", "trace"))
    found: list[Delivery] = []
    for span in _spans(before.at + _AFTER if before else None, since):
        found += rows.filter(span).order_by("-accepted_at", "-trace")[: most - len(found)]
        if len(found) >= most:
            break
    return found


def near(moment: datetime) -> Q:
    """The condition on pushes that they came no more than a day before or after a moment."""
    return Q(accepted_at__gte=moment - DAY, accepted_at__lt=moment + DAY)


def _spans(end: datetime | None, since: datetime | None) -> Iterator[Q]:
    """Conditions on the time, the latest span first: together all from `since` to before `end`."""
    start = end or timezone.now()
    until = Q(accepted_at__lt=end) if end else Q()
    for days in LOOKS:
        start -= days * DAY
        if since is not None and start <= since:
            break
        yield until & Q(accepted_at__gte=start)
        until = Q(accepted_at__lt=start)
    yield until & (Q(accepted_at__gte=since) if since else Q())
