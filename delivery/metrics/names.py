"""The table of metrics: their names, labels, bucket bounds and help texts.

Where the meaning is the same, a metric has the name that the reference proxy gives it
(https://github.com/mattermost/mattermost-push-proxy, server/metrics.go), so that its dashboards go on to work:

- service_notifications_total, service_success_total, service_failure_total {platform, type}: pushes that ended, OK, and
  not OK (REMOVE too, as there). platform is the head of the provider's platforms ("apple"). Not among them: what is a
  bad request there.
- service_success_with_ack_total {platform, type}: those of the successes that have an ack_id.
- service_failure_with_reason_total {platform, type, reason}: the failures; the reason is our stable code for it.
- service_removal_total {platform, reason}: answered with REMOVE; fewer than there, because some of its reasons for a
  REMOVE are none to us (verdict.py).
- service_bad_request_total: requests that are no push, or for an app that nobody has: their codes are in BAD_REQUESTS.
- service_delivered_total {platform, type}: acknowledged by a phone. (It declares this one and does not export it.)
- service_request_duration_seconds: from a push's arrival to its answer.
- service_notification_duration_seconds {platform}, service_apns_request_duration_seconds,
  service_fcm_request_duration_seconds: one attempt at the provider.

What is ours alone begins with hpns_; METERS has them all.
"""

from collections.abc import Mapping
from typing import Final, Literal, NewType

import msgspec

from tenants.providers.table import PROVIDERS

# Seconds; 1 and 3 are the marks of the promise (DESIGN: hand-off), 4 and 5 the deadlines.
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 60.0)
SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200)

TYPES: Final = frozenset(("message", "clear", "update_badge", "session", "test"))
PHONES: Final = {"ios": "apple", "android": "android"}
"""What a phone calls itself in its receipt, and the head of its provider's platforms, by which all else is counted."""
BAD_REQUESTS: Final = frozenset(
    ("malformed", "too_large", "missing_server_id", "missing_device_id", "missing_platform", "no_app")
)
PLATFORMS: Final = {**{row.family: row.platform for row in PROVIDERS.values()}, "": "other"}


MetricName = Literal[
    "service_notifications_total",
    "service_success_total",
    "service_success_with_ack_total",
    "service_failure_total",
    "service_failure_with_reason_total",
    "service_removal_total",
    "service_bad_request_total",
    "service_delivered_total",
    "service_request_duration_seconds",
    "service_notification_duration_seconds",
    "hpns_ended_total",
    "hpns_handoff_seconds",
    "hpns_receipt_seconds",
    "hpns_receipts_kept_total",
    "hpns_receipts_left_out_total",
    "hpns_receipts_matched_total",
    "hpns_removes_total",
    "hpns_credential_refusals_held_total",
    "hpns_attempts_total",
    "hpns_attempt_seconds",
    "hpns_accepted_total",
    "hpns_turned_away_total",
    "hpns_rows_lost_total",
    "hpns_repeats_total",
    "hpns_messages_put_aside_total",
    "hpns_task_restarts_total",
    "hpns_batch_pushes",
    "hpns_pushes_in_flight",
    "hpns_provider_connections",
    "hpns_provider_requests",
    "hpns_breakers_open",
    "hpns_directory_age_seconds",
    "hpns_directory_source",
    "hpns_processes",
    "hpns_process_resident_bytes",
    "hpns_process_cpu_seconds_total",
]
"""A name of a metric that has a row below: mypy refuses to count under any other."""
ProviderMetricName = NewType("ProviderMetricName", str)
"""A name of a metric that each provider has: one of REQUEST_DURATION, and made nowhere else."""


class Meter(msgspec.Struct, frozen=True):
    """One metric: "counter", "histogram" (with bounds) or "gauge"; highest: not the sum of the processes."""

    kind: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    highest: bool = False


REQUEST_DURATION: Final = {
    family: ProviderMetricName(f"service_{family}_request_duration_seconds") for family in PROVIDERS
}
"""By the provider's family: the duration of an attempt at it."""

_PUSH = ("platform", "type")
_METERS: Final[Mapping[MetricName, Meter]] = {
    "service_notifications_total": Meter("counter", "Pushes that reached an outcome.", _PUSH),
    "service_success_total": Meter("counter", "Pushes accepted by the provider.", _PUSH),
    "service_success_with_ack_total": Meter("counter", "Pushes with an ack_id accepted by the provider.", _PUSH),
    "service_failure_total": Meter("counter", "Pushes answered with FAIL or REMOVE.", _PUSH),
    "service_failure_with_reason_total": Meter(
        "counter", "Pushes answered with FAIL or REMOVE, by code.", (*_PUSH, "reason")
    ),
    "service_removal_total": Meter(
        "counter", "Pushes answered with REMOVE: the device token is no longer valid.", ("platform", "reason")
    ),
    "service_bad_request_total": Meter("counter", "Invalid requests, and pushes for an unknown app."),
    "service_delivered_total": Meter("counter", "Pushes acknowledged by a phone.", _PUSH),
    "service_request_duration_seconds": Meter("histogram", "Time from a push's arrival to its answer.", (), SECONDS),
    "service_notification_duration_seconds": Meter(
        "histogram", "Duration of an attempt at the provider.", ("platform",), SECONDS
    ),
    "hpns_ended_total": Meter(
        "counter", "Pushes that reached an outcome, by whether they count in the SLA.", ("counts", "attribution")
    ),
    "hpns_handoff_seconds": Meter(
        "histogram", "Time from accepting a push to the provider's response.", ("platform",), SECONDS
    ),
    "hpns_receipt_seconds": Meter(
        "histogram", "Time from accepting a push to its first acknowledgement by a phone.", ("platform",), SECONDS
    ),
    "hpns_receipts_kept_total": Meter("counter", "Receipts of phones that Valkey has taken."),
    "hpns_receipts_left_out_total": Meter("counter", "Receipts of phones that were not kept, by reason.", ("reason",)),
    "hpns_receipts_matched_total": Meter(
        "counter",
        "Receipts by what was found of their push: first, repeated (acknowledged before), unmatched (nothing yet; "
        "counted as one of the others once it is found).",
        ("result",),
    ),
    "hpns_removes_total": Meter(
        "counter", "Answers that say that a device is gone, by what was decided about them.", ("decision",)
    ),
    "hpns_credential_refusals_held_total": Meter(
        "counter",
        "Refused credentials that were not marked, swapped or written about, for their provider refuses many.",
        ("provider",),
    ),
    "hpns_attempts_total": Meter("counter", "Attempts by the code of their verdict.", ("provider", "host", "result")),
    "hpns_attempt_seconds": Meter("histogram", "Duration of an attempt, by host.", ("provider", "host"), SECONDS),
    "hpns_accepted_total": Meter("counter", "Pushes enqueued."),
    "hpns_turned_away_total": Meter("counter", "Requests answered with FAIL before they were validated.", ("code",)),
    "hpns_rows_lost_total": Meter(
        "counter", "Answered pushes whose row may be missing in the log: Valkey lost what it had not synced."
    ),
    "hpns_repeats_total": Meter("counter", "Pushes that came again and got the answer of the first one."),
    "hpns_messages_put_aside_total": Meter(
        "counter", "Messages of a queue that could not be read and were put aside.", ("queue",)
    ),
    "hpns_task_restarts_total": Meter("counter", "Restarts of background tasks that had ended.", ("task",)),
    "hpns_batch_pushes": Meter("histogram", "Pushes per batch.", (), SIZES),
    "hpns_pushes_in_flight": Meter(
        "gauge", "Pushes waiting for an answer, or (worker) being sent by whomever.", ("role",)
    ),
    "hpns_provider_connections": Meter("gauge", "Open connections to the provider.", ("host",)),
    "hpns_provider_requests": Meter("gauge", "Requests in flight at the provider.", ("host",)),
    "hpns_breakers_open": Meter(
        "gauge", "Credentials with which nothing is sent, for their provider gives no answers.", ("host",)
    ),
    "hpns_directory_age_seconds": Meter("gauge", "Age of the oldest copy of the directory.", ("role",), highest=True),
    "hpns_directory_source": Meter("gauge", "Processes by the source of their directory.", ("role", "source")),
    "hpns_processes": Meter("gauge", "Running processes.", ("role",)),
    "hpns_process_resident_bytes": Meter("gauge", "Resident memory.", ("role",)),
    "hpns_process_cpu_seconds_total": Meter("counter", "CPU time used.", ("role",)),
}
_PROVIDER_METERS: Final = {
    REQUEST_DURATION[row.family]: Meter("histogram", f"Duration of an attempt at {row.name}.", (), SECONDS)
    for row in PROVIDERS.values()
}
METERS: Final[Mapping[str, Meter]] = dict([*_METERS.items(), *_PROVIDER_METERS.items()])
"""By name, those of each provider included."""
