"""The sandbox's HTTP API (JSON), for tests, tools and the page.

    GET    /api/requests   what was received: ?marker= ?provider= ?since=NUMBER ?most=; with ?count=N&wait=SECONDS the
                           answer comes when N entries match, or after so long
    DELETE /api/requests   forget them, and the counters
    GET    /api/state      counters, mode, settings, connections
    GET    /api/scripts    the scripts; PUT {"marker": "...", "answers": [...]} or a list of these; DELETE [?marker=]
    PUT    /api/mode       {"mode": "up" | "down" | "silent" | "wrong_certificate"}
    PUT    /api/settings   {"lenient_tokens": bool, "limit_token_updates": bool}, each optional
    GET    /api/events     server-sent events: `data: NUMBER` whenever something was received, four a second at most

Invariant: a request with anything unknown in it changes nothing and is answered with 400 and the reason.
"""

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec

from delivery.sandbox.answers import Answer
from delivery.sandbox.journal import Entry
from delivery.sandbox.listener import Listener, Mode
from delivery.sandbox.providers import Providers
from delivery.sandbox.web import Asked, Said, said_error, said_json

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


class Api:
    """Answers under /api/."""

    def __init__(self, providers: Providers, listener: Listener) -> None:
        """providers: journal, scripts and settings; listener: the provider port."""
        self._providers, self._listener = providers, listener
        self.started = time.time()

    async def answer(self, asked: Asked) -> Said:
        """One request."""
        take = getattr(self, f"_{asked.method.lower()}_{asked.path.removeprefix('/api/')}", None)
        if take is None or not asked.path.removeprefix("/api/").isalpha():
            return said_error(404, "no such method and path; the API is described in delivery/sandbox/api.py")
        try:
            said: Said = await take(asked)
        except ValueError as fault:  # msgspec's errors are ValueErrors
            return said_error(400, str(fault))
        return said

    async def _get_requests(self, asked: Asked) -> Said:
        query = asked.query
        count, wait = int(query.get("count", "0")), min(float(query.get("wait", "0")), LONGEST_WAIT)
        until = time.monotonic() + wait
        while True:
            found = self._find(query)
            left = until - time.monotonic()
            if len(found) >= count or left <= 0:
                break
            await self._providers.journal.changed(left)
        return said_json({"requests": [entry.report() for entry in found], "last": self._providers.journal.last})

    def _find(self, query: dict[str, str]) -> list[Entry]:
        return self._providers.journal.find(
            marker=query.get("marker", ""),
            provider=query.get("provider", ""),
            since=int(query.get("since", "0")),
            most=int(query.get("most", "1000")),
        )

    async def _delete_requests(self, asked: Asked) -> Said:
        self._providers.journal.clear()
        return said_json({})

    async def _get_state(self, asked: Asked) -> Said:
        providers, connections = self._providers, self._listener.connections
        return said_json(
            {
                "mode": self._listener.mode,
                "lenient_tokens": providers.lenient_tokens,
                "limit_token_updates": providers.tokens.limit_updates,
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

    async def _get_scripts(self, asked: Asked) -> Said:
        return said_json(self._providers.scripts.list())

    async def _put_scripts(self, asked: Asked) -> Said:
        scripts = msgspec.json.decode(asked.body, type=list[_Script] | _Script)
        for script in scripts if isinstance(scripts, list) else [scripts]:
            self._providers.scripts.put(script.marker, script.answers)
        return said_json({})

    async def _delete_scripts(self, asked: Asked) -> Said:
        return said_json({"cleared": self._providers.scripts.clear(asked.query.get("marker", ""))})

    async def _put_mode(self, asked: Asked) -> Said:
        await self._listener.set(msgspec.json.decode(asked.body, type=_Mode).mode)
        return said_json({})

    async def _put_settings(self, asked: Asked) -> Said:
        settings = msgspec.json.decode(asked.body, type=_Settings)
        if settings.lenient_tokens is not None:
            self._providers.lenient_tokens = settings.lenient_tokens
        if settings.limit_token_updates is not None:
            self._providers.tokens.limit_updates = settings.limit_token_updates
        return said_json({})

    async def _get_events(self, asked: Asked) -> Said:
        return Said(kind="text/event-stream", headers=[("cache-control", "no-store")], stream=self._events())

    async def _events(self) -> AsyncIterator[bytes]:
        journal = self._providers.journal
        told = journal.version
        yield f"retry: 1000\ndata: {journal.last}\n\n".encode()
        while True:
            if journal.version == told and not await journal.changed(HEARTBEAT):
                yield b": still here\n\n"
                continue
            told = journal.version
            yield f"data: {journal.last}\n\n".encode()
            await asyncio.sleep(EVENT_PAUSE)  # what comes meanwhile is seen by its version
