"""One HTTP/1.1 request with a deadline for all of it, over TLS that is verified: what the canary sends.

On a loop of its own, in a thread of the timetable's, so that an address that hangs costs nobody else anything. No
redirect is followed and no proxy asked: what is looked at is the public address as it is, as Mattermost servers do.
"""

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import httptools

# Bytes of a response; a page is smaller, an answer to a push has some hundred.
BODY_MAX: Final = 512 * 1024


class Request(NamedTuple):
    """A request: the method, the absolute URL (http or https) and the body."""

    method: str
    url: str
    body: bytes = b""


class Response(NamedTuple):
    """What came of it: status and body, or `problem` ("" for none) in plain words, without the URL; and after how many
    seconds."""

    status: int
    body: bytes
    problem: str
    seconds: float


def exchange(requests: Sequence[Request], seconds: float) -> list[Response]:
    """Send all at once and wait for each at most so long; never raises for what the network or the peer does."""
    return asyncio.run(_all(requests, seconds))


async def _all(requests: Sequence[Request], seconds: float) -> list[Response]:
    return list(await asyncio.gather(*(_one(each, seconds) for each in requests)))


async def _one(request: Request, seconds: float) -> Response:
    loop = asyncio.get_running_loop()
    began = loop.time()
    parsed, problem = _Parsed(), ""
    try:
        async with asyncio.timeout(seconds):
            await _exchange(request, parsed)
    except TimeoutError:
        problem = f"no answer within {seconds:g} s"
    except ssl.SSLCertVerificationError as error:
        problem = f"the certificate is not accepted: {error.verify_message}"
    except (OSError, ValueError, httptools.HttpParserError) as error:
        problem = f"unreachable: {type(error).__name__}"
    if not problem and not parsed.complete:
        problem = "the connection was closed before the answer was whole"
    return Response(parsed.status, bytes(parsed.body), problem, loop.time() - began)


class _Parsed:
    """What httptools tells of a response."""

    def __init__(self) -> None:
        self.body, self.complete, self.status = bytearray(), False, 0

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        self.body += data
        if len(self.body) > BODY_MAX:
            raise ValueError("the answer is too long")

    def on_message_complete(self) -> None:
        """The end of it."""
        self.complete = True


async def _exchange(request: Request, parsed: _Parsed) -> None:
    url = urlsplit(request.url)
    tls = url.scheme == "https"
    context = ssl.create_default_context() if tls else None
    port = url.port or (443 if tls else 80)
    reader, writer = await asyncio.open_connection(url.hostname, port, ssl=context)
    try:
        writer.write(_head(request, url) + request.body)
        parser: Any = httptools.HttpResponseParser(parsed)
        while not parsed.complete and (data := await reader.read(65536)):
            parser.feed_data(data)
            with suppress(httptools.HttpParserError):
                parsed.status = parser.get_status_code()
    finally:
        writer.close()


def _head(request: Request, url: Any) -> bytes:
    lines = (
        f"{request.method} {url.path or '/'}{'?' + url.query if url.query else ''} HTTP/1.1",
        f"Host: {url.netloc.rpartition('@')[2]}",
        "User-Agent: hpns-canary",
        "Accept: text/html, application/json",
        f"Content-Length: {len(request.body)}",
        "Connection: close",
        "",
        "",
    )
    return "\r\n".join(lines).encode("latin-1")
