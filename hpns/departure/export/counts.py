"""Schema of the rollups in a customer's export: counts by minute and hour, with latencies that people can read."""

from collections.abc import Iterable
from typing import Final

from delivery.models import Hour, Minute
from delivery.rollups.buckets import EDGES, Histogram, add
from hpns.departure.export.schema import Field, Kind


def _latencies(packed: Iterable[int]) -> list[list[int | None]]:
    histogram: Histogram = {}
    add(histogram, packed)
    return [[EDGES[bucket] if bucket < len(EDGES) else None, count] for bucket, count in sorted(histogram.items())]


_LATENCIES: Final = "as [milliseconds, n]: so many took less than that, and as long as the one before or longer"
_COUNTS: Final = (
    Field("at", "when the minute or hour begins, by accepted_at in UTC"),
    Field("server_id", "the server, by its id in servers.jsonl"),
    Field("app_id", "the app, as in deliveries.jsonl; 0: none was found"),
    Field("family", "apns, fcm, or other where the platform names neither"),
    Field("type", "as the server sent it; other: none that Mattermost has"),
    *(Field(name, "as in deliveries.jsonl") for name in ("outcome", "code", "attribution", "counts")),
    Field("pushes", "how many there were"),
    Field("acked", "how many of them a phone acknowledged"),
    Field("handoff", f"from acceptance to the end, {_LATENCIES}", "", _latencies),
    Field("receipt", f"from acceptance to the phone's receipt, {_LATENCIES}", "", _latencies),
)
_COUNTED: Final = "Lines with the same at and the same names add up."

KINDS: Final = (
    Kind(
        "hours.jsonl",
        f"Counts of your pushes by hour, the oldest first, which are kept for longer than each push. {_COUNTED}",
        Hour,
        "customer_id",
        _COUNTS,
    ),
    Kind(
        "minutes.jsonl", f"The same by minute, as far back as that is kept. {_COUNTED}", Minute, "customer_id", _COUNTS
    ),
)
