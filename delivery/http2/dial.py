"""Open a connection to a provider: TCP (addresses.py), outgoing proxy, TLS; and say what failed as a TransportFault.

Invariant: trust, proxy and client certificate come from the Endpoint alone, never from the environment; nothing but
HTTP/2 over TLS is ever spoken to a provider.
"""

import asyncio
import base64
import os
import socket
import ssl
from collections.abc import Callable
from functools import cached_property
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

import certifi

from delivery.http2.addresses import DialError, connect
from delivery.http2.connection import Connection
from delivery.outcomes.transport import TransportFault

_LIMITS: Final[dict[str, Any]] = {"ssl_handshake_timeout": 10.0, "ssl_shutdown_timeout": 1.0}
"""In seconds. The first is beyond every deadline (the whole dial has one in dialer.py); the second is how long a silent
peer keeps a closed connection."""
_PROXY_ANSWER_BYTES: Final = 8192
_PORTS: Final = {"http": 80, "https": 443}
_CERTIFICATE_ALERTS: Final = ("certificate", "unknown ca", "unknown_ca", "access denied", "access_denied")
"""In the TLS alerts with which a server turns a client certificate down (RFC 8446, 6.2)."""


class Progress:
    """How far a dial is. at_proxy: it waits for the outgoing proxy, and has not come to the provider yet."""

    __slots__ = ("at_proxy",)

    def __init__(self) -> None:
        self.at_proxy = False


class _NoProxy(NamedTuple):
    """An entry of NO_PROXY: a host with all below it, "*" for every one, and a port (0: each)."""

    name: str
    port: int

    @classmethod
    def of(cls, entry: str) -> "_NoProxy":
        """Read "host", ".host", "*.host" or any of them with ":port", as curl and Go's httpproxy do."""
        name, _, port = entry.rpartition(":")
        if not name or not port.isdigit():
            name, port = entry, "0"
        return cls(name if name == "*" else name.removeprefix("*").lstrip("."), int(port))

    def covers(self, host: str, port: int) -> bool:
        return self.port in (0, port) and (self.name in ("*", host) or host.endswith("." + self.name))


class TlsTrust:
    """The certification authorities and the outgoing proxy, which all endpoints of a process share."""

    def __init__(self, ca_file: str = "", proxy: str = "", no_proxy: str = "") -> None:
        """ca_file: PEM ("": certifi's); proxy: "http[s]://[user:password@]host:port" ("": none); no_proxy: hosts
        reached without it, separated by commas, "*" for all."""
        self.ca_file = ca_file or certifi.where()
        self._proxy = urlsplit(proxy) if proxy else None
        self._no_proxy = [_NoProxy.of(entry.strip().lower()) for entry in no_proxy.split(",") if entry.strip()]

    def proxy(self, host: str, port: int) -> SplitResult | None:
        """Return the address of the proxy that leads to a host; None: go straight there."""
        return None if any(entry.covers(host, port) for entry in self._no_proxy) else self._proxy

    def context(self) -> ssl.SSLContext:
        """Return a new context that trusts the authorities and checks names. Raises DialError."""
        # Not ssl.create_default_context, which writes the secrets of each connection to the file SSLKEYLOGFILE.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(cafile=self.ca_file)
        except OSError as error:
            raise DialError(TransportFault.TLS, f"{self.ca_file} cannot be used ({error})") from error
        return context

    def http2_context(self) -> ssl.SSLContext:
        """Return a new context for a provider. Raises DialError."""
        context = self.context()
        context.set_alpn_protocols(["h2"])
        return context

    @cached_property
    def to_proxy(self) -> ssl.SSLContext:
        """The context for the proxy itself. Raises DialError."""
        return self.context()

    @cached_property
    def to_provider(self) -> ssl.SSLContext:
        """The context for all endpoints without a client certificate: each takes a megabyte. Raises DialError."""
        return self.http2_context()


class Endpoint:
    """One origin, the TLS settings for it, and the client certificate that is shown there."""

    def __init__(
        self,
        origin: str,
        trust: TlsTrust,
        cert_pem: str = "",
        key_pem: str = "",
        refusals: frozenset[str] = frozenset(),
    ) -> None:
        """origin: "https://host[:port]"; cert_pem (with its chain) and key_pem: the client certificate ("": none).

        refusals: the reasons in a GOAWAY that turn down the credential whose endpoint this is.
        """
        self.refusals = refusals
        parts = urlsplit(origin)
        self.host, self.port = parts.hostname or "", parts.port or 443
        self.authority = parts.netloc
        self._trust = trust
        self._pem = f"{cert_pem}\n{key_pem}" if cert_pem else ""
        self._own: ssl.SSLContext | None = None

    @property
    def shows_certificate(self) -> bool:
        """Whether a client certificate is shown."""
        return bool(self._pem)

    def tls(self) -> ssl.SSLContext:
        """Return the context for the provider. Raises DialError."""
        if not self._pem:
            return self._trust.to_provider
        if self._own is None:
            context = self._trust.http2_context()
            # In TLS 1.3 a refused certificate shows only after the request was sent, and often as a mere reset.
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            try:
                _load(context, self._pem)
            except (OSError, ValueError) as error:
                raise DialError(TransportFault.CREDENTIAL, "the certificate and its key cannot be used") from error
            self._own = context
        return self._own

    async def open(
        self, loop: asyncio.AbstractEventLoop, make: Callable[[], Connection], progress: Progress
    ) -> Connection:
        """Open TCP, the proxy's tunnel and TLS for the connection that `make` returns. Raises DialError."""
        tls = self.tls()
        proxy = self._trust.proxy(self.host, self.port)
        if proxy is None:
            sock = await connect(loop, self.host, self.port)
        else:
            progress.at_proxy = True
            port = proxy.port or _PORTS[proxy.scheme]
            sock = await connect(loop, proxy.hostname or "", port, TransportFault.PROXY, TransportFault.PROXY)
        connection = make()
        transport: Any = None
        try:
            if proxy is None:
                transport, _ = await loop.create_connection(
                    lambda: connection, sock=sock, ssl=tls, server_hostname=self.host, **_LIMITS
                )
            else:
                transport = await self._tunnel(loop, sock, proxy)
                progress.at_proxy = False
                transport = await loop.start_tls(transport, connection, tls, server_hostname=self.host, **_LIMITS)
                connection.connection_made(transport)
            if transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
                raise DialError(TransportFault.PROTOCOL, "the server does not offer HTTP/2")
        except BaseException as error:  # a cancelled dial, too, leaves nothing open
            connection.closed = True  # whatever the event loop may still tell it
            if transport is not None:
                transport.abort()
            sock.close()
            if isinstance(error, OSError):
                raise _handshake_error(error) from error
            raise
        return connection

    async def _tunnel(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, proxy: SplitResult) -> Any:
        """The transport of a connection to the proxy on which CONNECT has succeeded. Raises DialError."""
        secured: dict[str, Any] = {}
        if proxy.scheme == "https":
            secured = {"ssl": self._trust.to_proxy, "server_hostname": proxy.hostname, **_LIMITS}
        transport: Any = None
        try:
            transport, tunnel = await loop.create_connection(lambda: _Tunnel(loop), sock=sock, **secured)
            transport.write(self._request(proxy))
            await tunnel.established
        except BaseException as error:
            if transport is not None:
                transport.abort()
            if isinstance(error, OSError):
                detail = getattr(error, "verify_message", "") or error.strerror or type(error).__name__
                raise DialError(TransportFault.PROXY, f"no connection to the proxy ({detail})") from error
            raise
        return transport

    def _request(self, proxy: SplitResult) -> bytes:
        """The CONNECT for a proxy (RFC 9110, 9.3.6)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        lines = [f"CONNECT {host}:{self.port} HTTP/1.1", f"Host: {host}:{self.port}"]
        if proxy.username is not None:
            pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
            lines.append(f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


class _Tunnel(asyncio.Protocol):
    """Waits for a proxy's answer to CONNECT. established: a future, DialError unless the answer is a success."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.established: asyncio.Future[None] = loop.create_future()
        self._head = b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" in self._head or len(self._head) > _PROXY_ANSWER_BYTES:
            self._judge()

    def connection_lost(self, error: Exception | None) -> None:
        self._judge()

    def _judge(self) -> None:
        if self.established.done():
            return
        line, whole, _ = self._head.partition(b"\r\n\r\n")
        status_line = line.partition(b"\r\n")[0].decode("latin-1").split(" ")
        status = status_line[1] if len(status_line) > 1 and status_line[0].startswith("HTTP/") else ""
        if whole and status[:1] == "2":
            self.established.set_result(None)
        else:
            self.established.set_exception(
                DialError(TransportFault.PROXY, f"the proxy's answer to CONNECT is {status or 'none'}")
            )


def _load(context: ssl.SSLContext, pem: str) -> None:
    """Load a certificate and key, which ssl takes from a file only: one in memory that nobody else can open."""
    handle = os.memfd_create("client certificate")
    try:
        os.write(handle, pem.encode())
        path = f"/proc/self/fd/{handle}"
        context.load_cert_chain(path, path, password=_no_password)
    finally:
        os.close(handle)


def _no_password() -> str:
    raise ValueError("the key is encrypted")  # without this, OpenSSL would ask at the terminal


def _handshake_error(error: OSError) -> DialError:
    """Return the DialError for a failed handshake."""
    text = str(getattr(error, "reason", "") or error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return DialError(TransportFault.TLS, error.verify_message)
    if "ALERT" in text.upper() and any(alert in text.lower() for alert in _CERTIFICATE_ALERTS):
        return DialError(TransportFault.CREDENTIAL, text)
    return DialError(TransportFault.TLS, text or "the connection was closed during the handshake")
