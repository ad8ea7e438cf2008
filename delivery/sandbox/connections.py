"""The open connections of the sandbox, counted, numbered, and dropped together when the listener's mode changes."""

import asyncio
from typing import Annotated, Any

import msgspec

from delivery.sandbox.certificates import describe
from delivery.sandbox.journal import Certificate
from delivery.sandbox.providers import Providers

RFC_WINDOW = 65_535
"""Bytes: the windows of RFC 9113 (6.9.2) where nobody grants more, and Apple's, who announces the same."""


class Windows(msgspec.Struct, forbid_unknown_fields=True):
    """The flow-control windows of connections to come, in bytes, and for how many seconds received bytes are held back
    from them: a window in a round trip is all that a client far away can send.
    """

    stream: Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)] = RFC_WINDOW
    connection: Annotated[int, msgspec.Meta(ge=RFC_WINDOW, lt=1 << 31)] = RFC_WINDOW
    delay: Annotated[float, msgspec.Meta(ge=0, le=60)] = 0.0


class Connections:
    """Who answers, and which connections are open.

    Invariant: a transport is in `open` from its first byte to its last, and nothing else refers to it from here.
    """

    def __init__(self, providers: Providers) -> None:
        """providers: answers the requests of all connections."""
        self.providers = providers
        self.windows = Windows()
        self.open: dict[asyncio.BaseTransport, str] = {}
        self.total = 0

    def opened(self, transport: asyncio.BaseTransport, http: str) -> int:
        """Counts a connection (http: "2", "1.1", or "" for one that says nothing); returns its number."""
        self.total += 1
        self.open[transport] = http
        return self.total

    def closed(self, transport: asyncio.BaseTransport) -> None:
        """The connection is gone."""
        self.open.pop(transport, None)

    def drop(self) -> None:
        """Abort all connections at once."""
        for transport in list(self.open):
            if isinstance(transport, asyncio.WriteTransport) or hasattr(transport, "abort"):
                transport.abort()

    def certificate(self, transport: asyncio.BaseTransport) -> Certificate | None:
        """The client's certificate, if it showed one."""
        tls: Any = transport.get_extra_info("ssl_object")
        der = tls.getpeercert(binary_form=True) if tls is not None else None
        return describe(der) if der else None
