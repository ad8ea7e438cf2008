"""The journal of received requests: a ring buffer of the last ones, and counters of all.

Invariants: the ring never grows over its size; an authorization header is reduced to its shape on receipt, so that no
provider token can be read here; bodies are kept as they came (they are the sandbox's very purpose, and nobody
sends it real ones).
"""

import asyncio
import time
from collections import Counter, deque
from typing import Any

import msgspec

from delivery.sandbox.answers import Answer
from delivery.sandbox.tokens import shape_of_assertion, shape_of_authorization

KEPT_HEADERS = frozenset({"content-type", "content-length", "user-agent", "x-goog-api-format-version"})
KEPT_PREFIXES = ("apns-", "x-firebase-", "x-hpns-")
MOST_BODY = 64 * 1024
# The devices that nobody has, for which the service asks whether a credential is good. Each push of a server's to them
# carries its server_id.
NOBODYS = frozenset(("dead0400" + 56 * "0", "invalid:APA91b" + 134 * "0"))


class Request:
    """One request as it came over the wire.

    at: unix seconds. host: the `:authority` asked for. headers: names in lower case, the last of a kind; repeated:
    names that came more than once. body: its first 64 KB; size: its whole size. certificate: the client's, if any.
    """

    __slots__ = (
        "at",
        "body",
        "certificate",
        "connection",
        "headers",
        "host",
        "http",
        "method",
        "path",
        "repeated",
        "size",
        "stream",
    )

    def __init__(
        self,
        headers: list[tuple[str, str]],
        *,
        method: str,
        host: str,
        path: str,
        http: str,
        connection: int,
        stream: int,
        certificate: "Certificate | None" = None,
    ) -> None:
        """Takes the head; the body is added as it comes."""
        self.at = time.time()
        self.method, self.host, self.path, self.http = method, host, path, http
        self.connection, self.stream, self.certificate = connection, stream, certificate
        self.headers = dict(headers)
        seen = Counter(name for name, _ in headers) if len(self.headers) != len(headers) else {}
        self.repeated = tuple(name for name, count in seen.items() if count > 1)
        self.body = b""
        self.size = 0

    def add(self, data: bytes) -> None:
        """Takes a piece of the body; what is over the limit is counted and not kept."""
        self.size += len(data)
        if len(self.body) < MOST_BODY:
            self.body += data[: MOST_BODY - len(self.body)]


class Certificate(msgspec.Struct, frozen=True):
    """A client certificate as the sandbox sees it: SHA-256 of its DER in hex, common name, and the UID (a topic)."""

    sha256: str
    name: str
    uid: str


class Entry:
    """A request with its provider, the token it was for, and what it was answered."""

    __slots__ = ("answer", "authorization", "by", "check", "number", "provider", "request", "token", "why")

    def __init__(
        self, number: int, provider: str, token: str, request: Request, answer: Answer, by: str, why: str, check: str
    ) -> None:
        """by: what decided (checks, script, token, success); why: a sentence; check: what the checks alone came to."""
        self.number, self.provider, self.token, self.request = number, provider, token, request
        self.answer, self.by, self.why, self.check = answer, by, why, check
        self.authorization = shape_of_authorization(request.headers.pop("authorization", ""))

    def data(self) -> Any:
        """The request's body as parsed JSON, or None when it is not JSON."""
        if self.provider == "oauth":
            return shape_of_assertion(self.request.body)
        try:
            return msgspec.json.decode(self.request.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def report(self) -> dict[str, Any]:
        """The entry as the API gives it (a JSON object)."""
        request = self.request
        headers: dict[str, Any] = {
            name: value
            for name, value in request.headers.items()
            if name in KEPT_HEADERS or name.startswith(KEPT_PREFIXES)
        }
        if self.authorization is not None:
            headers["authorization"] = self.authorization
        report = {
            "number": self.number,
            "at": request.at,
            "provider": self.provider,
            "token": self.token,
            "method": request.method,
            "host": request.host,
            "path": request.path,
            "http": request.http,
            "connection": request.connection,
            "stream": request.stream,
            "headers": headers,
            "body": None if self.provider == "oauth" else request.body.decode("utf-8", "replace"),
            "size": request.size,
            "json": self.data(),
            "answer": msgspec.to_builtins(self.answer),
            "by": self.by,
            "why": self.why,
            "check": self.check,
        }
        if request.certificate is not None:
            report["client_certificate"] = msgspec.to_builtins(request.certificate)
        return report


class Journal:
    """The ring of entries, with an event for those who wait for the next one."""

    def __init__(self, size: int = 20_000) -> None:
        """size: how many of the latest entries are kept."""
        self.entries: deque[Entry] = deque(maxlen=size)
        self.last = 0
        self.version = 0
        self.received: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        # Of both, what the service has asked about credentials.
        self.asked: Counter[str] = Counter()
        self.cleared_at = 0.0
        self._waiters: list[asyncio.Future[None]] = []

    def add(
        self, provider: str, token: str, request: Request, answer: Answer, *, by: str, why: str = "", check: str = ""
    ) -> Entry:
        """Keeps a request with its answer, and wakes who waits."""
        self.last += 1
        entry = Entry(self.last, provider, token, request, answer, by, why, check)
        self.entries.append(entry)
        self.received[provider] += 1
        answered = f"{provider} {answer.summary()}"
        self.answered[answered] += 1
        if token in NOBODYS and b"server_id" not in request.body:
            self.asked.update((provider, answered))
        self.wake()
        return entry

    def find(self, *, marker: str = "", provider: str = "", since: int = 0, most: int = 1000) -> list[Entry]:
        """Entries after the number `since`, oldest first; marker: a part of the token or of the path."""
        found: list[Entry] = []
        for entry in self.entries:
            if entry.number <= since or (provider and entry.provider != provider):
                continue
            if marker and marker not in entry.token and marker not in entry.request.path:
                continue
            found.append(entry)
            if len(found) == most:
                break
        return found

    def clear(self) -> None:
        """Forgets entries and counters; the numbers go on, so that `since` stays good."""
        self.entries.clear()
        self.received.clear()
        self.answered.clear()
        self.asked.clear()
        self.cleared_at = time.time()
        self.wake()

    def wake(self) -> None:
        """Counts a change, and wakes everyone in `changed`."""
        self.version += 1
        if self._waiters:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    async def changed(self, timeout: float) -> bool:  # noqa: ASYNC109 - bounds a wait that has no other end
        """Waits for the next entry or clearing; False when none came in `timeout` seconds."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                await waiter
        except TimeoutError:
            return False
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        return True
