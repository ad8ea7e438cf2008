"""What each documented answer of FCM's HTTP v1 API means: one row per (HTTP status, error code).

The error code is the one of the FcmError detail; without it, Google's general status (google.rpc.Code), which can never
be UNREGISTERED. Invariant: only 404 UNREGISTERED, said by an FcmError detail, is answered with REMOVE.
Source: Google, "ErrorCode" of the FCM v1 reference (https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode);
for the rest google/rpc/code.proto (https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto).
"""

from typing import Final

from delivery.outcomes.transport import TransportFault
from delivery.outcomes.verdict import (
    NOT_SENT,
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

SENT: Final = accepted("Google accepted the push")


def _later(code: str, cause: str) -> Verdict:
    fix = "nothing to do unless it lasts; see the status page of Firebase"
    return failed(code, cause, fix, attribution="provider", retry=Retry.BACKOFF)


def _over_quota(code: str) -> Verdict:
    return set_up_fault(
        code,
        "Google takes no more pushes of project {project}, or for this device, for now",
        "if it lasts, ask Google for a higher quota of the project",
        retry=Retry.BACKOFF,
    )


_UNSPECIFIED: Final = failed(
    "fcm_unspecified_error",
    "Google gives no reason for its error",
    "report it with the trace id if it lasts",
    attribution="provider",
    outcome=Outcome.UNKNOWN,
    retry=Retry.REPLACE,
    level="error",
)

ANSWERS: Final[dict[tuple[int, str], Verdict]] = {
    (200, ""): SENT,
    (400, "UNSPECIFIED_ERROR"): _UNSPECIFIED,
    (500, "UNSPECIFIED_ERROR"): _UNSPECIFIED,
    (400, "INVALID_ARGUMENT"): failed(
        "fcm_invalid_argument",
        "Google refused the message as invalid",
        "this is a fault of the push service; report it with the trace id",
        attribution="ours",
        level="error",
    ),
    (400, "INVALID_ARGUMENT/message.token"): failed(
        "fcm_invalid_token",
        "Google says that this is no device token of FCM",
        "let the user of this phone log in to the app again, so that it registers anew",
        attribution="device",
        outcome=Outcome.REFUSED,
        counts_in_sla=False,
    ),
    (401, "THIRD_PARTY_AUTH_ERROR"): set_up_fault(
        "fcm_third_party_auth_error",
        "Google could not send on for project {project}: its key for Apple or for web push is missing or wrong",
        "correct that key in the Firebase console; Android phones need none",
    ),
    (401, "UNAUTHENTICATED"): set_up_fault(
        "fcm_unauthenticated",
        "Google refused the access token of the service account",
        "it has been renewed; if it happens again, upload a new key of the service account of project {project}",
        retry=Retry.RENEW,
        is_key_fault=True,
    ),
    (403, "PERMISSION_DENIED"): set_up_fault(
        "fcm_permission_denied",
        "this service account may not send for project {project}",
        "switch on the Firebase Cloud Messaging API in the project and give the account the role for it",
        is_key_fault=True,
    ),
    (403, "SENDER_ID_MISMATCH"): set_up_fault(
        "fcm_sender_id_mismatch",
        "this device token belongs to another Firebase project than {project}",
        "upload the service account of the project whose google-services.json the mobile app was built with",
        remove_when_proven=True,
    ),
    (404, "NOT_FOUND"): set_up_fault(
        "fcm_not_found", "Google does not know project {project}", "check the project id of the service account"
    ),
    (404, "UNREGISTERED"): gone(
        "fcm_unregistered", "the app is no longer installed on this device, or has a new token"
    ),
    (429, "QUOTA_EXCEEDED"): _over_quota("fcm_quota_exceeded"),
    (429, "RESOURCE_EXHAUSTED"): _over_quota("fcm_resource_exhausted"),
    (500, "INTERNAL"): _later("fcm_internal", "Google had an internal error"),
    (503, "UNAVAILABLE"): _later("fcm_unavailable", "Firebase Cloud Messaging is unavailable"),
    (504, "DEADLINE_EXCEEDED"): failed(
        "fcm_deadline_exceeded",
        "Google did not finish in time, and the push may have been delivered",
        "nothing to do unless it lasts; see the status page of Firebase",
        attribution="provider",
        outcome=Outcome.UNKNOWN,
        retry=Retry.REPLACE,
    ),
}

UNKNOWN: Final = failed(
    "fcm_unknown",
    "Google answered {status} {reason}, which is not in its documentation",
    "report it with the trace id; the device is kept",
    attribution="provider",
    outcome=Outcome.UNKNOWN,
    level="error",
)

TROUBLE: Final = troubled("fcm_trouble", "Google")

TRANSPORT: Final[dict[tuple[TransportFault | str, WireState], Verdict]] = {
    (TransportFault.TOKEN_ENDPOINT, NOT_SENT): failed(
        "fcm_no_access_token",
        "Google's token service gave no access token ({detail})",
        "nothing to do unless it lasts; the status page of the push service knows more",
        attribution="provider",
        retry=Retry.SAFE,
    ),
    # Not sent at all. Google would say INVALID_ARGUMENT and no more.
    (TransportFault.TOO_LARGE, NOT_SENT): failed(
        "fcm_message_too_large",
        "the push is larger than Google takes, even without its message",
        "check what sends it; its ids and names are far longer than Mattermost's",
        attribution="customer",
        outcome=Outcome.REFUSED,
        counts_in_sla=False,
    ),
    (TransportFault.SIGNATURE, NOT_SENT): failed(
        "fcm_not_signed",
        "the push service could not sign its request for Google's access token in time ({detail})",
        "report it with the trace id if it lasts",
        attribution="ours",
        retry=Retry.SAFE,
        level="error",
    ),
}

OUTCOMES: Final = Outcomes(
    accepts=range(200, 300),
    sent=SENT,
    answers=ANSWERS,
    unknown=UNKNOWN,
    trouble=TROUBLE,
    transport=TRANSPORT,
    other_app=frozenset(("fcm_sender_id_mismatch",)),
)
