"""What each documented answer of APNs means: one row per (HTTP status, reason).

Invariant: only 410 Unregistered and 410 ExpiredToken are answered with REMOVE.
Source: Apple, "Handling notification responses from APNs", tables "APNs status codes" and "APNs error strings"
(https://developer.apple.com/documentation/usernotifications/handling-notification-responses-from-apns).
"""

from typing import Final

from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import (
    NOT_SENT,
    Attribution,
    Outcome,
    Outcomes,
    Retry,
    Verdict,
    WireState,
    accepted,
    failed,
    gone,
    set_up_fault,
    troubled,
)

SENT: Final = accepted("Apple accepted the push")
INVALID_IAT: Final = "InvalidProviderToken/iat"
"""InvalidProviderToken about the time in the token (its claim `iat`), not about the key: as our clock was wrong."""
TOO_MANY_TOKENS: Final = "TooManyProviderTokenUpdates"
OVERTAKEN: Final = "TooManyProviderTokenUpdates/overtaken"
"""The same about a token that another process of ours has replaced a moment before us."""


def _ours(code: str, cause: str, *, retry: Retry = Retry.NEVER) -> Verdict:
    """Return the verdict on a request that we built wrongly: there is nothing for the customer to do."""
    return failed(
        code,
        cause,
        "this is a fault of the push service; report it with the trace id",
        attribution="ours",
        retry=retry,
        level="error",
    )


# We shorten the message until the rest fits; what is too large without it is the sender's.
TOO_LARGE: Final = failed(
    "apns_payload_too_large",
    "the push is larger than Apple takes, even without its message",
    "check what sends it; its ids and names are far longer than Mattermost's",
    attribution="customer",
    outcome=Outcome.REFUSED,
    counts_in_sla=False,
)


def _later(
    code: str, cause: str, fix: str, attribution: Attribution = "provider", *, counts_in_sla: bool = True
) -> Verdict:
    return failed(code, cause, fix, attribution=attribution, counts_in_sla=counts_in_sla, retry=Retry.BACKOFF)


def _key_for_other_host(code: str) -> Verdict:
    """Return the verdict on a key of Apple's other host: its documentation has one name for it, its servers another."""
    return set_up_fault(
        code,
        "key {key_id} is for Apple's other host (production or sandbox)",
        "change the app's Apple host, or upload a key for this one",
        is_key_fault=True,
    )


ANSWERS: Final[dict[tuple[int, str], Verdict]] = {
    (200, ""): SENT,
    (400, "BadCollapseId"): _ours("apns_bad_collapse_id", "Apple refused the collapse id that we sent"),
    (400, "BadDeviceToken"): set_up_fault(
        "apns_bad_device_token",
        "Apple does not accept this device token",
        "if it is one phone, let its user log in to the app again; if it is many, check that the app's Apple host"
        " (production or sandbox) is the one it was built for",
        remove_when_proven=True,
    ),
    (400, "BadExpirationDate"): _ours("apns_bad_expiration_date", "Apple refused the expiration date that we sent"),
    (400, "BadMessageId"): _ours("apns_bad_message_id", "Apple refused the notification id that we sent"),
    (400, "BadPriority"): _ours("apns_bad_priority", "Apple refused the priority that we sent"),
    (400, "BadTopic"): set_up_fault(
        "apns_bad_topic",
        "Apple refused the topic {topic}",
        "enter the bundle id of the mobile app, exactly as in Apple's developer account",
    ),
    (400, "DeviceTokenNotForTopic"): set_up_fault(
        "apns_device_token_not_for_topic",
        "this device token belongs to another app than {topic}",
        "set the bundle id of the mobile app that this phone runs, or use the app that the bundle id names",
        remove_when_proven=True,
    ),
    (400, "DuplicateHeaders"): _ours("apns_duplicate_headers", "Apple saw a header twice"),
    (400, "IdleTimeout"): _later(
        "apns_idle_timeout",
        "Apple closed an idle connection",
        "nothing to do unless it lasts; the push can be sent again",
    ),
    (400, "InvalidPushType"): _ours("apns_invalid_push_type", "Apple refused the push type that we sent"),
    (400, "MissingDeviceToken"): set_up_fault(
        "apns_missing_device_token",
        "Apple saw no device token in the request",
        "let the user of this phone log in to the app again, so that it registers a whole token",
        remove_when_proven=True,
    ),
    (400, "MissingTopic"): set_up_fault(
        "apns_missing_topic",
        "Apple cannot tell which app this certificate is for",
        "enter the bundle id of the mobile app as the app's topic",
    ),
    (400, "PayloadEmpty"): _ours("apns_payload_empty", "Apple saw no payload"),
    (400, "TopicDisallowed"): set_up_fault(
        "apns_topic_disallowed",
        "this Apple key or certificate may not send to the topic {topic}",
        "use a key of the team that owns the app, or set the right bundle id; a certificate must be good for VoIP too",
    ),
    (403, "BadCertificate"): set_up_fault(
        "apns_bad_certificate",
        "Apple refused the certificate",
        "upload a push certificate for {topic} that is neither expired nor revoked",
        is_key_fault=True,
    ),
    (403, "BadCertificateEnvironment"): set_up_fault(
        "apns_bad_certificate_environment",
        "the certificate is for Apple's other host (production or sandbox)",
        "change the app's Apple host, or upload a certificate for this one",
        is_key_fault=True,
    ),
    (403, "ExpiredProviderToken"): failed(
        "apns_expired_provider_token",
        "Apple says that the signing token is too old ({detail})",
        "another is signed where its time was wrong; if it happens again, set the clock of the push service",
        attribution="ours",
        retry=Retry.RENEW,
        level="error",
        is_key_fault=True,
    ),
    (403, "Forbidden"): set_up_fault(
        "apns_forbidden",
        "Apple forbids this",
        "check in Apple's developer account that key {key_id} may send to {topic}",
        is_key_fault=True,
    ),
    (403, "InvalidProviderToken"): set_up_fault(
        "apns_invalid_provider_token",
        "Apple refused the signing token made with key {key_id} ({detail})",
        "check that key id, team id and key file belong together and that Apple still lists the key",
        is_key_fault=True,
    ),
    (403, INVALID_IAT): failed(
        "apns_invalid_provider_token_iat",
        "Apple refused the signing token for the time in it ({detail})",
        "another is signed where its time was wrong; if it happens again, set the clock of the push service",
        attribution="ours",
        retry=Retry.RENEW,
        level="error",
        is_key_fault=True,
    ),
    (403, "MissingProviderToken"): _ours(
        "apns_missing_provider_token", "Apple saw neither a signing token nor a certificate"
    ),
    (403, "UnrelatedKeyIdInToken"): _ours(
        "apns_unrelated_key_id_in_token", "signing tokens of two keys travelled on one connection to Apple"
    ),
    (403, "BadEnvironmentKeyInToken"): _key_for_other_host("apns_bad_environment_key_in_token"),
    (403, "BadEnvironmentKeyIdInToken"): _key_for_other_host("apns_bad_environment_key_id_in_token"),
    (404, "BadPath"): _ours("apns_bad_path", "Apple does not know the path of our request"),
    (405, "MethodNotAllowed"): _ours("apns_method_not_allowed", "Apple did not see a POST"),
    (410, "ExpiredToken"): gone("apns_expired_token", "this device token has expired"),
    (410, "Unregistered"): gone(
        "apns_unregistered", "the app is no longer installed on this device, or has a new token"
    ),
    (413, "PayloadTooLarge"): TOO_LARGE,
    (429, TOO_MANY_TOKENS): _later(
        "apns_too_many_provider_token_updates",
        "Apple says that the signing token was renewed too often",
        "if another service uses key {key_id} as well, give each its own key",
        "ours",
    ),
    (429, OVERTAKEN): failed(
        "apns_provider_token_overtaken",
        "Apple had a newer signing token than this one already",
        "the newer one is used from now on; if it happens again, set the clocks of the push service",
        attribution="ours",
        retry=Retry.RENEW,
    ),
    (429, "TooManyRequests"): _later(
        "apns_too_many_requests",
        "Apple takes no more pushes for this device for now",
        "nothing to do unless it lasts; many pushes within seconds go to this phone",
        "customer",
        counts_in_sla=False,
    ),
    (500, "InternalServerError"): _later(
        "apns_internal_server_error",
        "Apple had an internal error",
        "nothing to do unless it lasts; see Apple's system status page",
    ),
    (503, "ServiceUnavailable"): _later(
        "apns_service_unavailable",
        "Apple's push service is unavailable",
        "nothing to do unless it lasts; see Apple's system status page",
    ),
    (503, "Shutdown"): _later(
        "apns_shutdown",
        "this server of Apple's is being shut down",
        "nothing to do unless it lasts; the push can be sent again",
    ),
}

UNKNOWN: Final = failed(
    "apns_unknown",
    "Apple answered {status} {reason}, which is not in its documentation",
    "report it with the trace id; the device is kept",
    attribution="provider",
    outcome=Outcome.UNKNOWN,
    level="error",
)

TROUBLE: Final = troubled("apns_trouble", "Apple")

_REFUSALS: Final = {
    reason: verdict
    for (_, reason), verdict in ANSWERS.items()
    if verdict.is_key_fault and verdict.attribution == "customer"
}
GOAWAY_REASONS: Final = frozenset(_REFUSALS)
"""Reasons about the credential, which Apple also gives in the debug data of a GOAWAY, instead of any answer."""

TRANSPORT: Final[dict[tuple[TransportFault | str, WireState], Verdict]] = {
    # Not sent at all: the server is told what Apple would have said.
    (TransportFault.TOO_LARGE, NOT_SENT): TOO_LARGE,
    **{(reason, NOT_SENT): verdict for reason, verdict in _REFUSALS.items()},
}

OUTCOMES: Final = Outcomes(
    accepts=range(200, 201),
    sent=SENT,
    answers=ANSWERS,
    unknown=UNKNOWN,
    trouble=TROUBLE,
    transport=TRANSPORT,
    other_app=frozenset(("apns_device_token_not_for_topic",)),
    other_host=frozenset(("apns_bad_device_token",)),
)
