"""The metrics that there are: their names, labels, bounds and meaning. A table, no code.

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

from typing import Final

import msgspec

from tenants.providers.table import PROVIDERS

# Seconds; 1 and 3 are the marks of the promise (DESIGN: hand-off), 4 and 5 the deadlines.
SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 60.0)
SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200)

TYPES: Final = frozenset(("message", "clear", "update_badge", "session", "test"))
PHONES: Final = frozenset(("ios", "android"))
BAD_REQUESTS: Final = frozenset(
    ("malformed", "too_large", "missing_server_id", "missing_device_id", "missing_platform", "no_app")
)
PLATFORMS: Final = {**{row.family: row.platform for row in PROVIDERS.values()}, "": "other"}


class Meter(msgspec.Struct, frozen=True):
    """One metric: "counter", "histogram" (with bounds) or "gauge"; highest: not the sum of the processes."""

    kind: str
    help: str
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    highest: bool = False


_PUSH = ("platform", "type")
METERS: Final = {
    "service_notifications_total": Meter("counter", "Pushes that ended.", _PUSH),
    "service_success_total": Meter("counter", "Pushes that the provider took.", _PUSH),
    "service_success_with_ack_total": Meter("counter", "Pushes with an ack_id that the provider took.", _PUSH),
    "service_failure_total": Meter("counter", "Pushes that ended otherwise.", _PUSH),
    "service_failure_with_reason_total": Meter("counter", "The same, by code.", (*_PUSH, "reason")),
    "service_removal_total": Meter("counter", "Devices that are gone.", ("platform", "reason")),
    "service_bad_request_total": Meter("counter", "Requests that are no push we could send."),
    "service_delivered_total": Meter("counter", "Pushes that a phone acknowledged.", _PUSH),
    "service_request_duration_seconds": Meter("histogram", "From a push's arrival to its answer.", (), SECONDS),
    "service_notification_duration_seconds": Meter("histogram", "Attempts at the provider.", ("platform",), SECONDS),
    **{
        f"service_{row.family}_request_duration_seconds": Meter("histogram", f"Attempts at {row.name}.", (), SECONDS)
        for row in PROVIDERS.values()
    },
    "hpns_handoff_seconds": Meter("histogram", "From acceptance to the provider's word.", ("platform",), SECONDS),
    "hpns_attempts_total": Meter("counter", "Attempts by their verdict.", ("provider", "host", "result")),
    "hpns_attempt_seconds": Meter("histogram", "Attempts by host.", ("provider", "host"), SECONDS),
    "hpns_accepted_total": Meter("counter", "Pushes handed to the queue."),
    "hpns_turned_away_total": Meter("counter", "Requests that were no push of anybody known.", ("code",)),
    "hpns_batch_pushes": Meter("histogram", "Pushes in one batch.", (), SIZES),
    "hpns_pushes_in_flight": Meter("gauge", "Pushes waiting for an answer (ingest) or an end (worker).", ("role",)),
    "hpns_provider_connections": Meter("gauge", "Open connections.", ("host",)),
    "hpns_provider_requests": Meter("gauge", "Requests under way.", ("host",)),
    "hpns_directory_age_seconds": Meter("gauge", "Since the directory was fresh.", ("role",), (), highest=True),
    "hpns_directory_source": Meter("gauge", "Processes by where their directory is from.", ("role", "source")),
    "hpns_processes": Meter("gauge", "Living processes.", ("role",)),
    "hpns_process_resident_bytes": Meter("gauge", "Memory.", ("role",)),
    "hpns_process_cpu_seconds_total": Meter("counter", "CPU time.", ("role",)),
}
