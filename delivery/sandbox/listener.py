"""The provider port: what it does with a new connection depends on its mode, which the API can change at any time.

Modes: `up`; `down` (connections are refused); `silent` (accepted, and then nothing: no handshake, no answer);
`wrong_certificate` (a certificate of a CA that nobody trusts). Invariant: a change of mode drops all connections, so
that what comes next meets the new mode; the port stays the same throughout. `up` reads the certificate anew, too.
"""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any, Literal

from delivery.sandbox.certificates import context, load_chain, trust
from delivery.sandbox.connections import Connections
from delivery.sandbox.http1 import Http1
from delivery.sandbox.http2 import Http2

Mode = Literal["up", "down", "silent", "wrong_certificate"]
BACKLOG = 1024
DROP_TURNS = 1000


class Listener:
    """The provider port and its mode."""

    def __init__(self, host: str, port: int, folder: Path, connections: Connections) -> None:
        """host, port: where to listen (port 0: any free one); folder: the certificates."""
        self._host, self._folder, self.connections = host, folder, connections
        self._server: asyncio.Server | None = None
        self._trusted = 0
        self._tls: dict[str, ssl.SSLContext] = {name: context(folder, name) for name in ("server", "wrong")}
        # called at each handshake (with or without a name), before the client's certificate is looked at
        self._tls["server"].sni_callback = lambda *_: self.trust()
        self.port = port
        self.mode: Mode = "down"

    async def set(self, mode: Mode) -> None:
        """Changes the mode; when it returns, no connection of the mode before is open. Raises OSError when the port
        cannot be had.
        """
        if self._server is not None:
            self._server.close()
            self._server = None
        self.connections.drop()
        # An aborted transport closes its socket in one of the loop's next turns: until then a client might take it for
        # open, and lose a request on it.
        for _ in range(DROP_TURNS):
            if not self.connections.open:
                break
            await asyncio.sleep(0.001)
        self.mode = mode
        if mode == "down":
            return
        if mode == "up":
            load_chain(self._tls["server"], self._folder, "server")
        self.trust()
        bound = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((self._host, self.port))
        except OSError:
            bound.close()
            raise
        self.port = bound.getsockname()[1]
        loop = asyncio.get_running_loop()
        if mode == "silent":
            self._server = await loop.create_server(lambda: Silent(self.connections), sock=bound, backlog=BACKLOG)
        else:
            tls = self._tls["wrong" if mode == "wrong_certificate" else "server"]
            self._server = await loop.create_server(
                lambda: Chosen(self.connections), sock=bound, ssl=tls, backlog=BACKLOG
            )

    def trust(self) -> None:
        """Lets in the client certificates that the accounts list now."""
        accounts = self.connections.providers.accounts
        accounts.refresh()
        if accounts.version != self._trusted:
            self._trusted = accounts.version
            for certificate in accounts.certificates.values():
                if certificate.pem:
                    trust(self._tls["server"], certificate.pem)


class Chosen(asyncio.Protocol):
    """A connection whose handshake is done: hands itself over to the protocol that ALPN chose."""

    def __init__(self, connections: Connections) -> None:
        """connections: given on to the chosen protocol."""
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Looks at what was agreed on."""
        tls: Any = transport.get_extra_info("ssl_object")
        chosen = Http2 if tls.selected_alpn_protocol() == "h2" else Http1
        protocol = chosen(self._connections)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)


class Silent(asyncio.Protocol):
    """A connection that is never answered."""

    def __init__(self, connections: Connections) -> None:
        """connections: counts it."""
        self._connections = connections
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Is counted, so that the next mode can drop it."""
        self._transport = transport
        self._connections.opened(transport, "")

    def connection_lost(self, exc: Exception | None) -> None:
        """Is not counted any more."""
        if self._transport is not None:
            self._connections.closed(self._transport)
