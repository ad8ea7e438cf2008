"""The sandbox's HTTP API (JSON), for tests, tools and the page.

    GET    /api/requests   what was received: ?marker= ?provider= ?since=NUMBER ?most=; with ?count=N&wait=SECONDS the
                           answer comes when N entries match, or after so long
    DELETE /api/requests   forget them, and the counters
    GET    /api/state      counters, mode, settings, connections
    GET    /api/scripts    the scripts; PUT {"marker": "...", "answers": [...]} or a list of these; DELETE [?marker=]
    PUT    /api/mode       {"mode": "up" | "down" | "silent" | "wrong_certificate"}
    PUT    /api/settings   {"lenient_tokens": bool, "limit_token_updates": bool, "windows": {"stream": BYTES,
                           "connection": BYTES, "delay": SECONDS}}, each optional; windows of connections to come
    GET    /api/events     server-sent events: `data: NUMBER` whenever something was received, four a second at most

Invariant: a request with anything unknown in it changes nothing and is answered with 400 and the reason.
"""

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec

from delivery.sandbox.answers import Answer
from delivery.sandbox.connections import Windows
from delivery.sandbox.journal import Entry
from delivery.sandbox.listener import Listener, Mode
from delivery.sandbox.providers import Providers
from delivery.sandbox.web import WebRequest, WebResponse, error_response, json_response

LONGEST_WAIT = 30.0
HEARTBEAT = 10.0
EVENT_PAUSE = 0.25


class _Script(msgspec.Struct, forbid_unknown_fields=True):
    marker: str
    answers: list[Answer]


class _Mode(msgspec.Struct, forbid_unknown_fields=True):
    mode: Mode


class _Settings(msgspec.Struct, forbid_unknown_fields=True):
    lenient_tokens: bool | None = None
    limit_token_updates: bool | None = None
    windows: Windows | None = None


class Api:
    """Answers under /api/."""

    def __init__(self, providers: Providers, listener: Listener) -> None:
        """providers: journal, scripts and settings; listener: the provider port."""
        self._providers, self._listener = providers, listener
        self.started = time.time()

    async def answer(self, request: WebRequest) -> WebResponse:
        """One request."""
        handle = getattr(self, f"_{request.method.lower()}_{request.path.removeprefix('/api/')}", None)
        if handle is None or not request.path.removeprefix("/api/").isalpha():
            return error_response(404, "no such method and path; the API is described in delivery/sandbox/api.py")
        try:
            response: WebResponse = await handle(request)
        except ValueError as fault:  # msgspec's errors are ValueErrors
            return error_response(400, str(fault))
        return response

    async def _get_requests(self, request: WebRequest) -> WebResponse:
        query = request.query
        count, wait = int(query.get("count", "0")), min(float(query.get("wait", "0")), LONGEST_WAIT)
        until = time.monotonic() + wait
        while True:
            found = self._find(query)
            remaining = until - time.monotonic()
            if len(found) >= count or remaining <= 0:
                break
            await self._providers.journal.changed(remaining)
        return json_response({"requests": [entry.report() for entry in found], "last": self._providers.journal.last})

    def _find(self, query: dict[str, str]) -> list[Entry]:
        return self._providers.journal.find(
            marker=query.get("marker", ""),
            provider=query.get("provider", ""),
            since=int(query.get("since", "0")),
            most=int(query.get("most", "1000")),
        )

    async def _delete_requests(self, request: WebRequest) -> WebResponse:
        self._providers.journal.clear()
        return json_response({})

    async def _get_state(self, request: WebRequest) -> WebResponse:
        providers, connections = self._providers, self._listener.connections
        return json_response(
            {
                "mode": self._listener.mode,
                "lenient_tokens": providers.lenient_tokens,
                "limit_token_updates": providers.tokens.limit_updates,
                "windows": connections.windows,
                "received": dict(providers.journal.received),
                "answered": dict(providers.journal.answered),
                "kept": len(providers.journal.entries),
                "last": providers.journal.last,
                "connections_open": len(connections.open),
                "connections_total": connections.total,
                "accounts_error": providers.accounts.error,
                "started": self.started,
            }
        )

    async def _get_scripts(self, request: WebRequest) -> WebResponse:
        return json_response(self._providers.scripts.list())

    async def _put_scripts(self, request: WebRequest) -> WebResponse:
        scripts = msgspec.json.decode(request.body, type=list[_Script] | _Script)
        for script in scripts if isinstance(scripts, list) else [scripts]:
            self._providers.scripts.put(script.marker, script.answers)
        return json_response({})

    async def _delete_scripts(self, request: WebRequest) -> WebResponse:
        return json_response({"cleared": self._providers.scripts.clear(request.query.get("marker", ""))})

    async def _put_mode(self, request: WebRequest) -> WebResponse:
        await self._listener.set(msgspec.json.decode(request.body, type=_Mode).mode)
        return json_response({})

    async def _put_settings(self, request: WebRequest) -> WebResponse:
        settings = msgspec.json.decode(request.body, type=_Settings)
        if settings.lenient_tokens is not None:
            self._providers.lenient_tokens = settings.lenient_tokens
        if settings.limit_token_updates is not None:
            self._providers.tokens.limit_updates = settings.limit_token_updates
        if settings.windows is not None:
            self._listener.connections.windows = settings.windows
        return json_response({})

    async def _get_events(self, request: WebRequest) -> WebResponse:
        return WebResponse(
            content_type="text/event-stream", headers=[("cache-control", "no-store")], stream=self._events()
        )

    async def _events(self) -> AsyncIterator[bytes]:
        journal = self._providers.journal
        seen_version = journal.version
        yield f"retry: 1000\ndata: {journal.last}\n\n".encode()
        while True:
            if journal.version == seen_version and not await journal.changed(HEARTBEAT):
                yield b": still here\n\n"
                continue
            seen_version = journal.version
            yield f"data: {journal.last}\n\n".encode()
            await asyncio.sleep(EVENT_PAUSE)  # what comes meanwhile is seen by its version
