"""The table of failures by device token prefix: how the sandbox fails for a token, and in which way.

Anyone can make a push fail on purpose by sending it to a token that begins with one of these markers: for APNs they are
hexadecimal and begin with `dead` (fill up to 64 digits as you like), for FCM they are a word before a colon. All other
tokens are delivered. The page shows this same table. Scripts (see `answers.py`) come before it. Invariant: whatever a
marker stands for, the push is checked first, as the real services do: a wrong key is told about before a dead token.
"""

import time
from typing import Any, NamedTuple

from delivery.sandbox.answers import Answer

FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
DAY_MS = 86_400_000
NOT_JSON = "<html><title>502</title><body>Bad gateway</body></html>"


def apns_refusal(status: int, reason: str, *, retry_after: int = 0) -> Answer:
    """Apple's answer for a reason ("Handling notification responses from APNs"); a 410 says since when."""
    content: dict[str, Any] = {"reason": reason}
    if status == 410:
        content["timestamp"] = int(time.time() * 1000) - DAY_MS
    return Answer(status=status, json=content, headers={"retry-after": str(retry_after)} if retry_after else {})


def google_error(status: int, name: str, message: str, *details: dict[str, Any]) -> dict[str, Any]:
    """Google's error object (google.rpc.Status as JSON). name: the canonical code's."""
    error: dict[str, Any] = {"code": status, "message": message, "status": name}
    if details:
        error["details"] = list(details)
    return {"error": error}


def fcm_refusal(status: int, name: str, message: str, code: str = "", *, retry_after: int = 0) -> Answer:
    """FCM v1's answer; code: the FcmError's own error code when it has one ("ErrorCode" in FCM's REST reference)."""
    details = ({"@type": FCM_ERROR, "errorCode": code},) if code else ()
    headers = {"retry-after": str(retry_after)} if retry_after else {}
    return Answer(status=status, json=google_error(status, name, message, *details), headers=headers)


class Behaviour(NamedTuple):
    """One row: what it is called, the markers, the answers, and a sentence. An empty marker: the provider has none."""

    name: str
    apns_marker: str
    fcm_marker: str
    apns: Answer
    fcm: Answer
    what: str


_NONE = Answer()
UNAVAILABLE = "The service is currently unavailable."
QUOTA = "Quota exceeded for quota metric 'Send requests' and limit 'Send requests per minute'."

TABLE: tuple[Behaviour, ...] = (
    Behaviour(
        "unregistered",
        "dead0410",
        "unregistered:",
        apns_refusal(410, "Unregistered"),
        fcm_refusal(404, "NOT_FOUND", "Requested entity was not found.", "UNREGISTERED"),
        "The app was removed from the phone (Apple says since when: the day before this sandbox started).",
    ),
    Behaviour(
        "expired token",
        "dead0411",
        "",
        apns_refusal(410, "ExpiredToken"),
        _NONE,
        "The device token has expired.",
    ),
    Behaviour(
        "wrong topic",
        "dead0401",
        "mismatch:",
        apns_refusal(400, "DeviceTokenNotForTopic"),
        fcm_refusal(403, "PERMISSION_DENIED", "SenderId mismatch", "SENDER_ID_MISMATCH"),
        "The token belongs to another app, or to another Firebase project.",
    ),
    Behaviour(
        "bad token",
        "dead0400",
        "invalid:",
        apns_refusal(400, "BadDeviceToken"),
        fcm_refusal(
            400,
            "INVALID_ARGUMENT",
            "The registration token is not a valid FCM registration token",
            "INVALID_ARGUMENT",
        ),
        "The token is none, or one of Apple's other environment.",
    ),
    Behaviour(
        "expired provider token",
        "dead0403",
        "unauthenticated:",
        apns_refusal(403, "ExpiredProviderToken"),
        fcm_refusal(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
        "The token that proves who pushes is too old.",
    ),
    Behaviour(
        "invalid provider token",
        "dead0404",
        "denied:",
        apns_refusal(403, "InvalidProviderToken"),
        fcm_refusal(
            403,
            "PERMISSION_DENIED",
            "Permission 'cloudmessaging.messages.create' denied on resource (or it may not exist).",
        ),
        "The key is not accepted for this team or project.",
    ),
    Behaviour(
        "third-party credentials",
        "",
        "thirdparty:",
        _NONE,
        fcm_refusal(401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service", "THIRD_PARTY_AUTH_ERROR"),
        "The Firebase project's own credentials for another push service are refused.",
    ),
    Behaviour(
        "too many requests",
        "dead0429",
        "quota:",
        apns_refusal(429, "TooManyRequests", retry_after=2),
        fcm_refusal(429, "RESOURCE_EXHAUSTED", QUOTA, "QUOTA_EXCEEDED", retry_after=2),
        "Too many for one device or project; Retry-After says 2 seconds.",
    ),
    Behaviour(
        "internal error",
        "dead0500",
        "internal:",
        apns_refusal(500, "InternalServerError"),
        fcm_refusal(500, "INTERNAL", "Internal error encountered.", "INTERNAL"),
        "The provider's own fault.",
    ),
    Behaviour(
        "unavailable",
        "dead0503",
        "unavailable:",
        apns_refusal(503, "ServiceUnavailable", retry_after=2),
        fcm_refusal(503, "UNAVAILABLE", UNAVAILABLE, "UNAVAILABLE", retry_after=2),
        "The provider is overloaded; Retry-After says 2 seconds.",
    ),
    Behaviour(
        "shutting down",
        "dead0504",
        "",
        apns_refusal(503, "Shutdown"),
        _NONE,
        "The provider's server is shutting down.",
    ),
    Behaviour(
        "not JSON",
        "dead0502",
        "html:",
        Answer(status=502, body=NOT_JSON),
        Answer(status=502, body=NOT_JSON),
        "Something between answers with a page of HTML.",
    ),
    Behaviour("slow", "dead0001", "slow1:", Answer(delay=1), Answer(delay=1), "Delivered after one second."),
    Behaviour("very slow", "dead0003", "slow3:", Answer(delay=3), Answer(delay=3), "Delivered after three seconds."),
    Behaviour("far too slow", "dead0009", "slow9:", Answer(delay=9), Answer(delay=9), "Delivered after nine seconds."),
    Behaviour("silence", "deadaaaa", "hang:", Answer(hang=True), Answer(hang=True), "Never answered."),
    Behaviour("reset", "deadbe02", "reset:", Answer(reset=2), Answer(reset=2), "RST_STREAM with INTERNAL_ERROR."),
    Behaviour(
        "refused stream", "deadbe07", "refused:", Answer(reset=7), Answer(reset=7), "RST_STREAM with REFUSED_STREAM."
    ),
    Behaviour(
        "going away",
        "deadbe00",
        "goaway:",
        Answer(goaway=0),
        Answer(goaway=0),
        "GOAWAY that disowns the request; the connection ends.",
    ),
    Behaviour(
        "closed", "deadc105", "close:", Answer(close=True), Answer(close=True), "The connection is closed unanswered."
    ),
    Behaviour(
        "cut body",
        "deadc117",
        "cut:",
        Answer(status=400, json={"reason": "BadDeviceToken"}, cut=True),
        Answer(status=200, json={"name": "projects/demo-project/messages/1"}, cut=True),
        "The answer breaks off in the middle of its body.",
    ),
)


def of_apns(token: str) -> Behaviour | None:
    """The row for an APNs device token, or None: deliver it. Upper and lower case are one."""
    token = token.lower()
    if not token.startswith("dead"):
        return None
    return next((row for row in TABLE if row.apns_marker and token.startswith(row.apns_marker)), None)


def of_fcm(token: str) -> Behaviour | None:
    """The row for an FCM registration token, or None: deliver it."""
    marker, colon, _ = token.partition(":")
    return _BY_FCM_MARKER.get(marker + colon)


_BY_FCM_MARKER = {row.fcm_marker: row for row in TABLE if row.fcm_marker}
