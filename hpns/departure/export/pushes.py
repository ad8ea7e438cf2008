"""The files of a customer's export about its pushes: the log, receipts, and counts by minute and hour."""

from collections.abc import Iterable
from typing import Final

from delivery.models import Delivery, Hour, Minute, Receipt
from delivery.rollups.buckets import EDGES, Histogram, add
from hpns.departure.export.schema import ID, Field, Kind


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

PUSHES: Final = (
    Kind(
        "deliveries.jsonl",
        "What became of each push, the oldest first, of the days for which that is kept. No text of a push is in it, "
        "and no device token: neither is kept.",
        Delivery,
        "customer_id",
        (
            Field("trace", "the trace id that your server's log has, too"),
            Field("accepted_at", "when the push came"),
            Field("ended_at", "when it was known what became of it"),
            Field("server_id", "the server, by its id in servers.jsonl"),
            Field("key_id", "the key, by its id in keys.jsonl"),
            Field("app_id", "the app; the operator's are not in apps.jsonl"),
            Field("platform", "as the server sent it"),
            Field("type", "as the server sent it"),
            Field("sub_type", "as the server sent it"),
            Field("ack_id", "as the server sent it"),
            Field("post_id", "as the server sent it"),
            Field("mattermost_id", "the server_id that the push carried"),
            Field("device", "a keyed fingerprint of the device token: tells devices apart, and no more"),
            Field("size", "bytes of the push"),
            Field("outcome", "sent, gone, refused, unknown, failed, expired or lost"),
            Field("code", "the stable code of the outcome"),
            Field("answer", "what the server was told: OK, REMOVE or FAIL"),
            Field("attribution", "whose affair it was: ours, provider, customer or device"),
            Field("counts", "whether it counts in the SLA"),
            Field("attempts", "each request to Apple or Google: at (unix time), host, status, reason, ms"),
            Field("count", "how many pushes the line stands for"),
        ),
    ),
    Kind(
        "receipts.jsonl",
        "What phones have acknowledged through your servers, the oldest first, of the days for which that is kept.",
        Receipt,
        "customer_id",
        (
            ID,
            Field("received_at", "when it came"),
            Field("server_id", "the server, by its id in servers.jsonl"),
            Field("ack_id", "of the push, as the phone sent it"),
            Field("type", "of the push, as the phone sent it"),
            Field("platform", "as the phone sent it: ios or android"),
            Field("phone_at", "when the phone got the push, by its own clock"),
            Field("trace", "the push, by its trace in deliveries.jsonl; null: none was found"),
            Field("push_at", "when that push came"),
            Field("repeated", "whether the push had been acknowledged before"),
        ),
    ),
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
