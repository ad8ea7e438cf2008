"""Validation of APNs requests as Apple does it, with its error reasons.

Source: Apple, "Sending notification requests to APNs" and "Handling notification responses from APNs". Where Apple does
not say what it does (JSON that is none, a push type that does not fit the topic), the refusal nearest in meaning is
given, and `why` says so. Invariant: the checks have no memory but the provider tokens' own.
"""

import re
import uuid

import msgspec

from delivery.sandbox.accounts import Accounts
from delivery.sandbox.answers import Answer
from delivery.sandbox.behaviours import apns_refusal
from delivery.sandbox.journal import Request
from delivery.sandbox.tokens import ProviderTokens, TokenRejected

PREFIX = "/3/device/"
PUSH_TYPES = {
    "alert": "",
    "background": "",
    "voip": ".voip",
    "complication": ".complication",
    "fileprovider": ".pushkit.fileprovider",
    "mdm": "",
    "liveactivity": ".push-type.liveactivity",
    "pushtotalk": ".voip-ptt",
    "widgets": ".push-type.widgets",
    "controls": ".push-type.controls",
    "location": ".location-query",
}
SUFFIXES = sorted({suffix for suffix in PUSH_TYPES.values() if suffix}, key=len, reverse=True)
MOST_BYTES = {"voip": 5120}
USUAL_BYTES = 4096
STATUS = {
    "MissingProviderToken": 403,
    "InvalidProviderToken": 403,
    "ExpiredProviderToken": 403,
    "TooManyProviderTokenUpdates": 429,
}
_HEX = re.compile(r"[0-9a-fA-F]{64,200}")
_TOPIC = re.compile(r"[A-Za-z0-9.\-]{1,255}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Apns:
    """Apple's checks."""

    def __init__(self, accounts: Accounts, tokens: ProviderTokens) -> None:
        """accounts: who may push; tokens: checks their provider tokens."""
        self._accounts, self._tokens = accounts, tokens
        self.lenient_tokens = False

    def check(self, request: Request, token: str) -> tuple[Answer, str] | None:
        """None when Apple would take the push, else its refusal and a sentence that says why."""
        try:
            self._shape(request, token)
            push_type = self._headers(request, self._topics(request))
            self._payload(request, push_type)
            if not self.lenient_tokens and (not _HEX.fullmatch(token) or len(token) % 2):
                raise _Refusal(400, "BadDeviceToken", "a device token has 64 or more hexadecimal digits")
        except _Refusal as refusal:
            return apns_refusal(refusal.status, refusal.reason), refusal.why
        except TokenRejected as rejected:
            return apns_refusal(STATUS[rejected.reason], rejected.reason), rejected.why
        return None

    def _shape(self, request: Request, token: str) -> None:
        if not (request.path + "/").startswith(PREFIX):
            raise _Refusal(404, "BadPath", "the path must be /3/device/<token>")
        if request.method != "POST":
            raise _Refusal(405, "MethodNotAllowed", "the method must be POST")
        if not token:
            raise _Refusal(400, "MissingDeviceToken", "the path ends without a device token")
        if "/" in token and not self.lenient_tokens:
            raise _Refusal(404, "BadPath", "the path must be /3/device/<token>")
        if request.repeated:
            raise _Refusal(400, "DuplicateHeaders", f"sent more than once: {', '.join(request.repeated)}")

    def _topics(self, request: Request) -> tuple[str, ...]:
        """The bundle ids that the token or the certificate may push to."""
        authorization = request.headers.get("authorization", "")
        if authorization or request.certificate is None:
            return self._tokens.check(authorization).topics
        listed = self._accounts.certificates.get(request.certificate.sha256)
        if listed is None:
            raise _Refusal(403, "BadCertificate", "the client certificate is not listed")
        topics = listed.topics or ((request.certificate.uid,) if request.certificate.uid else ())
        if "apns-topic" not in request.headers and len(topics) == 1:
            request.headers["apns-topic"] = topics[0]
        return topics

    def _headers(self, request: Request, topics: tuple[str, ...]) -> str:
        """Checks what the headers say; returns the push type."""
        headers = request.headers
        topic = headers.get("apns-topic", "")
        if not topic:
            raise _Refusal(400, "MissingTopic", "there is no apns-topic header")
        if not _TOPIC.fullmatch(topic):
            raise _Refusal(400, "BadTopic", "a topic has letters, digits, dots and hyphens")
        suffix = next((end for end in SUFFIXES if topic.endswith(end)), "")
        push_type = headers.get("apns-push-type", "voip" if suffix == ".voip" else "alert")
        if push_type not in PUSH_TYPES:
            raise _Refusal(400, "InvalidPushType", "Apple knows no such push type")
        if topic not in topics and (topic.removesuffix(suffix) if suffix else topic) not in topics:
            raise _Refusal(400, "TopicDisallowed", "the key or certificate may not push to this topic")
        if PUSH_TYPES[push_type] != suffix:
            raise _Refusal(400, "InvalidPushType", "the push type does not go with the topic's ending")
        priority = headers.get("apns-priority", "5" if push_type == "background" else "10")
        if priority not in ("1", "5", "10") or (priority == "10" and push_type == "background"):
            raise _Refusal(400, "BadPriority", "the priority must be 1, 5 or 10, and not 10 for background pushes")
        expiration = headers.get("apns-expiration", "0")
        if not (expiration.isascii() and expiration.isdigit() and len(expiration) <= 12):
            raise _Refusal(400, "BadExpirationDate", "the expiration is a number of seconds since 1970, or 0")
        if len(headers.get("apns-collapse-id", "").encode()) > 64:
            raise _Refusal(400, "BadCollapseId", "a collapse id has at most 64 bytes")
        if "apns-id" in headers and not _UUID.fullmatch(headers["apns-id"]):
            raise _Refusal(400, "BadMessageId", "an apns-id is a UUID with hyphens")
        return push_type

    def _payload(self, request: Request, push_type: str) -> None:
        if request.size == 0:
            raise _Refusal(400, "PayloadEmpty", "there is no body")
        most = MOST_BYTES.get(push_type, USUAL_BYTES)
        if request.size > most:
            raise _Refusal(413, "PayloadTooLarge", f"{request.size} bytes; at most {most} for push type {push_type}")
        try:
            payload = msgspec.json.decode(request.body, type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, UnicodeDecodeError):
            payload = {}
        if not payload:
            raise _Refusal(400, "PayloadEmpty", "the body is not a JSON object with something in it")


class _Refusal(Exception):
    def __init__(self, status: int, reason: str, why: str) -> None:
        super().__init__(reason)
        self.status, self.reason, self.why = status, reason, why


def token_of(path: str) -> str:
    """The device token in a path, as it stands there; "" if there is none."""
    return path[len(PREFIX) :] if path.startswith(PREFIX) else ""


def reply_headers(request: Request, answer: Answer) -> list[tuple[str, str]]:
    """What Apple adds to every answer: the apns-id (the sender's or a new one); its sandbox a second id for the log."""
    headers = []
    if not answer.no_apns_id:
        headers.append(("apns-id", request.headers.get("apns-id") or str(uuid.uuid4()).upper()))
        if answer.status == 200 and ("sandbox" in request.host or "development" in request.host):
            headers.append(("apns-unique-id", str(uuid.uuid4())))
    return headers
