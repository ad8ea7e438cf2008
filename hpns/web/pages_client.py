"""HTTP client of the pages process: one request of ASGI's becomes one of HTTP/1.1 over its Unix socket, and back.

aiohttp does the HTTP. Client address and scheme travel in one header (CLIENT_HEADER); what a client sent under that
name, and what was said from hop to hop, is left out. Invariants: a request is sent once, on a connection of its own; a
response is read no faster than it is taken; connecting, the response's head and each piece have deadlines.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Final
from urllib.parse import quote

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from hpns.web.asgi_types import Message, Send
from hpns.web.pages_protocol import CLIENT_HEADER, PROBE

# Seconds for the pages process to be there, which starts within two; to begin its response, its queue included; the
# same for a download, which is made whole before it begins; and for each piece.
CONNECT_SECONDS: Final = 5.0
RESPONSE_SECONDS: Final = 60.0
DOWNLOAD_SECONDS: Final = 300.0
DOWNLOADS: Final = re.compile(r"/c/[^/]+/(audit\.csv|settings/export/)")
PIECE_SECONDS: Final = 30.0
# Bytes a second that a reader takes at least, beyond the first minute.
SLOWEST_READER: Final = 4096
# Bytes of a header of a response: a Location with the whole target of a request in it is the longest.
FIELD_MAX: Final = 32 * 1024
# A response up to this is sent on in one piece.
ONE_PIECE: Final = 256 * 1024
# What is said from hop to hop. RFC 9110, 7.6.1
HOP_BY_HOP: Final = frozenset(
    (
        *(b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te"),
        *(b"trailer", b"transfer-encoding", b"upgrade"),
    )
)
LEFT_OUT: Final = HOP_BY_HOP | {b"content-length", b"expect", CLIENT_HEADER}
# What has a function beyond this hop is not to be left out, whoever lists it in Connection.
KEPT: Final = frozenset((b"host", b"cookie", b"authorization", b"content-type"))
# All that may stand in a path and in a query as it is; what a client did not escape is escaped.
_PATH_SAFE: Final = "/!$&'()*+,;=:@~"
_QUERY_SAFE: Final = _PATH_SAFE + "%?"


class AbsentError(Exception):
    """The pages process cannot be reached, or its answer broke off before it began; the text is for the log."""


class SlowError(Exception):
    """The pages process did not answer in time."""


class BrokenOffError(ConnectionError):
    """The response broke off after its beginning, or its reader was too slow; the text is for the log."""


class BadRequestError(Exception):
    """The request has a method or a header that HTTP does not know."""


class PagesClient:
    """One per web process, on its loop. socket: the path of the pages process's."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._session: aiohttp.ClientSession | None = None

    async def forward(self, scope: Message, body: bytes, send: Send) -> None:
        """Forward a request with its whole body, and send its response.

        Raises AbsentError, SlowError or BadRequestError before anything was sent; BrokenOffError when the response
        breaks off afterwards; what `send` raises.
        """
        patience = CONNECT_SECONDS + (DOWNLOAD_SECONDS if DOWNLOADS.match(scope["path"]) else RESPONSE_SECONDS)
        try:
            async with asyncio.timeout(patience):
                response = await self._request(scope, body)
                length = response.content_length
                whole = scope["method"] == "HEAD" or (length is not None and length <= ONE_PIECE)
                content = await response.read() if whole else b""
        except TimeoutError:
            raise SlowError(f"no answer within {patience:g} s") from None
        except ValueError as error:
            raise BadRequestError from error
        except (aiohttp.ClientError, OSError) as error:
            raise AbsentError(type(error).__name__) from error
        async with response:
            headers = [each for each in response.raw_headers if each[0].lower() not in HOP_BY_HOP]
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
            if whole:
                await send({"type": "http.response.body", "body": content})
                return
            try:
                async with asyncio.timeout(60 + (length or 0) / SLOWEST_READER):
                    async for piece in _pieces(response):
                        await send({"type": "http.response.body", "body": piece, "more_body": bool(piece)})
            except (aiohttp.ClientError, TimeoutError) as error:
                raise BrokenOffError(
                    f"the pages process or the reader was too slow or left ({type(error).__name__})"
                ) from None

    async def probe(self, seconds: float) -> str:
        """Why there are no pages, "" when the pages process answers within `seconds`."""
        try:
            async with asyncio.timeout(seconds), self._client().get(URL(f"http://pages{PROBE}")) as response:
                return "" if response.status == 204 else f"the pages process answers {response.status}"
        except TimeoutError:
            return f"the pages process does not answer within {seconds:g} s"
        except (aiohttp.ClientError, OSError) as error:
            return f"the pages process does not answer ({type(error).__name__})"

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def _request(self, scope: Message, body: bytes) -> aiohttp.ClientResponse:
        """The response's head. A process that is just being started is waited for."""
        # Encoded: taken as it is, not put into another shape.
        url = URL.build(
            scheme="http",
            host="pages",
            path=quote(scope["path"], safe=_PATH_SAFE),
            query_string=quote(scope["query_string"], safe=_QUERY_SAFE),
            encoded=True,
        )
        headers, until = request_headers(scope), time.monotonic() + CONNECT_SECONDS
        while True:
            try:
                return await self._client().request(
                    scope["method"], url, headers=headers, data=body or None, allow_redirects=False
                )
            except aiohttp.ClientConnectorError:  # nothing has been sent
                if not self._socket or time.monotonic() > until:
                    raise
                await asyncio.sleep(0.1)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                # A connection for each request: that costs less than telling one that was closed just now from one
                # whose request was taken.
                connector=aiohttp.UnixConnector(self._socket, force_close=True, limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
                auto_decompress=False,
                max_field_size=FIELD_MAX,
            )
        return self._session


async def _pieces(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The body as it comes, b"" at its end."""
    while True:
        async with asyncio.timeout(PIECE_SECONDS):
            piece = await response.content.readany()
        yield piece
        if not piece:
            return


def header(scope: Message, wanted: bytes) -> bytes:
    """The first line of a header, by its lower-case name; b"" when there is none."""
    return next((value for name, value in scope["headers"] if name == wanted), b"")


def request_headers(scope: Message) -> CIMultiDict[str]:
    """The headers of the request, without what was between the client and us, and with what we know of the client."""
    listed = {token.strip().lower() for token in header(scope, b"connection").split(b",")} - KEPT
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in scope["headers"]:
        if name not in LEFT_OUT and name not in listed:
            headers.add(name.decode("latin-1"), _text(value))
    if "host" not in headers and scope.get("server"):
        headers["host"] = scope["server"][0]
    address, port = scope["client"] or ("-", 0)
    headers[CLIENT_HEADER.decode()] = f"{scope['scheme']} {address} {port}"
    return headers


def _text(value: bytes) -> str:
    """A header's value for aiohttp, which writes UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
