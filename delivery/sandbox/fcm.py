"""Validation of requests as FCM's HTTP v1 API and Google's token endpoint do it, with their errors.

Source: Firebase, "REST Resource: projects.messages" and its "ErrorCode" page; Google, "Using OAuth 2.0 for server to
server applications". Invariant: only bearers given by this sandbox are accepted.
"""

import re
import time
from itertools import count
from typing import Any

import msgspec

from delivery.sandbox.accounts import Accounts
from delivery.sandbox.answers import Answer
from delivery.sandbox.behaviours import fcm_refusal, google_error
from delivery.sandbox.journal import Request
from delivery.sandbox.tokens import BEARER_LIFE, Bearers, TokenRejected

TOKEN_PATH = "/token"  # noqa: S105 - a path
MOST_DATA = 4096
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
TOP_FIELDS = frozenset({"message", "validate_only", "validateOnly"})
MESSAGE_FIELDS = frozenset(
    {"name", "data", "notification", "android", "webpush", "apns", "fcm_options", "fcmOptions", "token", "topic"}
    | {"condition"}
)
ANDROID_FIELDS = frozenset(
    {"collapse_key", "collapseKey", "priority", "ttl", "restricted_package_name", "restrictedPackageName", "data"}
    | {"notification", "fcm_options", "fcmOptions", "direct_boot_ok", "directBootOk"}
    | {"bandwidth_constrained_ok", "bandwidthConstrainedOk", "restricted_satellite_ok", "restrictedSatelliteOk"}
)
_PATH = re.compile(r"/v1/projects/([^/]+)/messages:send(\?.*)?")
_TTL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?s")
_TOKEN = re.compile(r"[A-Za-z0-9_:\-.]{10,4096}")
_numbers = count(1)


class Fcm:
    """FCM's checks, and the token endpoint's."""

    def __init__(self, accounts: Accounts, bearers: Bearers) -> None:
        """accounts: who may push; bearers: gives and checks access tokens."""
        self._accounts, self._bearers = accounts, bearers
        self.lenient_tokens = False

    def check(self, request: Request, token: str) -> tuple[Answer, str] | None:
        """None when FCM would take the push, else its refusal and a sentence that says why."""
        found = _PATH.fullmatch(request.path)
        if not found or request.method != "POST":
            return fcm_refusal(404, "NOT_FOUND", "Requested entity was not found."), "no such path or method"
        try:
            account = self._bearers.check(request.headers.get("authorization", ""))
        except TokenRejected as rejected:
            message = (
                "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or "
                "other valid authentication credential."
            )
            return fcm_refusal(401, "UNAUTHENTICATED", message), rejected.why
        if found[1] != account.project:
            message = "Permission 'cloudmessaging.messages.create' denied on resource (or it may not exist)."
            return fcm_refusal(403, "PERMISSION_DENIED", message), "the account belongs to another project"
        return self._message(request, token)

    def _message(self, request: Request, token: str) -> tuple[Answer, str] | None:
        try:
            body = msgspec.json.decode(request.body, type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return _invalid("Invalid JSON payload received.", "the body is not a JSON object")
        fault = _fields(body)
        if fault:
            return fault
        message = body["message"]
        if not token:
            return _invalid("Recipient of the message is not set.", "message.token is missing")
        size = sum(len(name.encode()) + len(value.encode()) for name, value in message.get("data", {}).items())
        if size > MOST_DATA:
            return _invalid("Android message is too big", f"data has {size} bytes; at most {MOST_DATA}", fcm=True)
        if not self.lenient_tokens and not _TOKEN.fullmatch(token):
            text = "The registration token is not a valid FCM registration token"
            return _invalid(text, "a registration token has letters, digits and _ : - .", fcm=True)
        return None

    def grant(self, request: Request) -> tuple[Answer, str]:
        """The token endpoint's own answer, and a sentence."""
        if request.method != "POST":
            return Answer(status=405, json={"error": "invalid_request"}), "the method must be POST"
        try:
            bearer = self._bearers.grant(request.body)
        except TokenRejected as rejected:
            status = 401 if rejected.reason == "invalid_client" else 400
            return Answer(
                status=status, json={"error": rejected.reason, "error_description": rejected.why}
            ), rejected.why
        return Answer(json={"access_token": bearer, "expires_in": BEARER_LIFE, "token_type": "Bearer"}), ""


def _fields(body: dict[str, Any]) -> tuple[Answer, str] | None:
    """Unknown members and wrong types, which Google's JSON front refuses before FCM sees them."""
    message = body.get("message")
    if not isinstance(message, dict):
        return _invalid("Request contains an invalid argument.", "message is missing or no object")
    android = message.get("android", {})
    if not isinstance(android, dict):
        return _invalid("Invalid value at 'message.android'.", "message.android is no object", "message.android")
    for where, members, known in (
        ("", body, TOP_FIELDS),
        ("message", message, MESSAGE_FIELDS),
        ("message.android", android, ANDROID_FIELDS),
    ):
        for name in members.keys() - known:
            text = f'Invalid JSON payload received. Unknown name "{name}"' + (f" at '{where}'" if where else "")
            return _invalid(f"{text}: Cannot find field.", f"unknown member {name}", where)
    data = message.get("data", {})
    if not isinstance(data, dict):
        return _invalid("Invalid value at 'message.data'.", "message.data is no object", "message.data")
    for at, (name, value) in enumerate(data.items()):
        if not isinstance(value, str):
            place = f"message.data[{at}].value"
            return _invalid(f"Invalid value at '{place}' (TYPE_STRING), {value}", f"data.{name} is no string", place)
        if name in ("from", "message_type") or name.startswith(("google.", "gcm.notification.")):
            return _invalid(f"Invalid data payload key: {name}", f"data.{name} is a reserved name", fcm=True)
    priority, ttl = android.get("priority", "normal"), android.get("ttl", "0s")
    if not isinstance(priority, str) or priority.lower() not in ("normal", "high"):
        place = "message.android.priority"
        return _invalid(f"Invalid value at '{place}'", "the priority must be normal or high", place)
    if not isinstance(ttl, str) or not _TTL.fullmatch(ttl) or float(ttl[:-1]) > 28 * 86400:
        place = "message.android.ttl"
        return _invalid(f"Invalid value at '{place}'", "the ttl is seconds with an s, 28 days at most", place)
    return None


def _invalid(message: str, why: str, field: str = "", *, fcm: bool = False) -> tuple[Answer, str]:
    if fcm:
        return fcm_refusal(400, "INVALID_ARGUMENT", message, "INVALID_ARGUMENT"), why
    violation = {"@type": BAD_REQUEST, "fieldViolations": [{"field": field, "description": message}]}
    return Answer(status=400, json=google_error(400, "INVALID_ARGUMENT", message, violation)), why


def token_of(body: bytes) -> str:
    """The registration token of a request's body, whatever else is wrong with it; "" if there is none."""
    try:
        return msgspec.json.decode(body, type=_Addressed).message.token
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


class _Recipient(msgspec.Struct):
    token: str = ""


class _Addressed(msgspec.Struct):
    message: _Recipient


class _ValidateOnly(msgspec.Struct):
    validate_only: bool = False
    validateOnly: bool = False  # noqa: N815 - Google's name: its JSON takes both


def is_validate_only(body: bytes) -> bool:
    """Whether a request is a dry run (validate_only): nothing reaches a phone."""
    try:
        flags = msgspec.json.decode(body, type=_ValidateOnly)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return flags.validate_only or flags.validateOnly


def success(project_path: str, body: bytes = b"") -> bytes:
    """FCM's answer to a push it took: the message's name; a made up one for a dry run."""
    project = project_path.split("/")[3] if project_path.count("/") >= 4 else "-"
    if is_validate_only(body):
        return msgspec.json.encode({"name": f"projects/{project}/messages/fake_message_id"})
    name = f"projects/{project}/messages/0:{int(time.time() * 1e6)}%{next(_numbers):016x}"
    return msgspec.json.encode({"name": name})
