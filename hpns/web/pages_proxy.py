"""Reverse proxy of a web process to the pages process: the ASGI 3.0 application of all pages.

Pages and pushes do not share an interpreter; this is all that a page costs the process of pushes. The body of a request
is read whole, within its bound, before the pages process hears of it; a response is streamed as fast as it is taken
(pages_client.py). Whoever calls this has put the client's own address and scheme into the scope (tenants/network.py).
Invariants: each step has a deadline; what is under way is bounded, in requests and in bytes, for each client and in
all, and nothing of it is on a disk; whoever leaves ends what was done for them.
"""

import asyncio
import logging
import os
import random
import re
from collections.abc import Awaitable
from typing import Final

from django.conf import settings

from hpns.web.asgi_types import Message, Receive, Send
from hpns.web.page_limit import Shares, client_share
from hpns.web.pages_client import AbsentError, BadRequestError, PagesClient, SlowError, header
from hpns.web.pages_protocol import SOCKET_VARIABLE

# Bytes of a request's target and of its headers: browsers and their cookies stay far below.
TARGET_MAX: Final = 8 * 1024
HEADERS_MAX: Final = 32 * 1024
# Bytes of a request's body: forms; and where files are uploaded, by whoever has a session: a credential has at most
# 100 KB (tenants/providers/pem.py).
BODY_MAX: Final = 64 * 1024
UPLOAD_MAX: Final = 160 * 1024
LINES_MAX: Final = 640 * 1024
# Ten thousand ids or so of a server's own log, for a customer's reconciliation.
LINES: Final = re.compile(r"/c/[^/]+/sla/reconcile/")
UPLOADS: Final = re.compile(r"/(c/[^/]+/(apps/\d+/credentials|licence)|admin/tenants/pushapp/(add|\d+/change))/")
# Seconds for a request's body to arrive.
BODY_SECONDS: Final = 30.0
# Of a body that is refused, so many bytes and seconds more are read, so that its sender gets to read our answer.
DISCARD_MAX, DISCARD_SECONDS = 1024 * 1024, 2.0
# Requests and bytes of bodies under way in one web process, in all and of one client.
REQUESTS, REQUESTS_EACH = 512, 64
BYTES, BYTES_EACH = 8 * 1024 * 1024, 1024 * 1024
# Seconds until a request that is refused is told so: one that asks again at once costs little then.
REFUSAL_SECONDS: Final = 1.0
PLAIN: Final = (b"content-type", b"text/plain; charset=utf-8")

logger = logging.getLogger(__name__)


class _Refused(Exception):
    """The request is answered here, with this status and text; at_once: it has waited already."""

    def __init__(self, status: int, text: str, *, at_once: bool = False) -> None:
        super().__init__(text)
        self.status, self.text, self.at_once = status, text, at_once


class _Left(Exception):
    """The client is gone."""


class PagesProxy:
    """The ASGI application, one per web process, on its loop."""

    def __init__(self, socket: str = "") -> None:
        """socket: where the pages process listens; by default what the parent has set."""
        self._client = PagesClient(socket or os.environ.get(SOCKET_VARIABLE, ""))
        self._requests, self._bytes = Shares(REQUESTS, REQUESTS_EACH), Shares(BYTES, BYTES_EACH)
        self._absent = False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request (scope type "http"; `client` and `scheme` are the client's own)."""
        keys = (client_share(scope["client"][0]) if scope["client"] else "",)
        body = _Body(self._bytes, keys)
        taken = False
        try:
            taken = self._requests.take(keys) is None
            if not taken:
                raise _Refused(503, "There are too many requests at the moment: try again in a few seconds.\n")
            _check_head(scope)
            await body.read(scope, receive)
            await self._unless_left(receive, self._forward(scope, body.content, send))
        except _Refused as refused:
            if not refused.at_once:
                # Spread, so that many who began together do not come in one moment, again and again.
                await asyncio.sleep(REFUSAL_SECONDS * random.uniform(0.7, 1.4))  # noqa: S311
            await _plain(send, refused, close=not body.complete and _has_body(scope))
        except _Left:
            return
        finally:
            body.release()
            if taken:
                self._requests.give_back(keys)

    async def probe(self, seconds: float) -> str:
        """Why there are no pages, "" when the pages process answers within `seconds`."""
        return await self._client.probe(seconds)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()

    async def _unless_left(self, receive: Receive, work: Awaitable[None]) -> None:
        """Do the work unless the client leaves; the whole of its request has been read."""
        leaving, forwarding = asyncio.ensure_future(receive()), asyncio.ensure_future(work)
        try:
            await asyncio.wait([leaving, forwarding], return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not forwarding.done():
                forwarding.cancel()
                await asyncio.wait([forwarding])
        if not forwarding.cancelled():
            forwarding.result()

    async def _forward(self, scope: Message, body: bytes, send: Send) -> None:
        try:
            await self._client.forward(scope, body, send)
        except SlowError as error:
            logger.error("a page did not come: %s", error)
            raise _Refused(503, "The page takes too long: try again in a minute.\n", at_once=True) from None
        except BadRequestError:
            raise _Refused(400, "This is no request that could be passed on.\n") from None
        except AbsentError as error:
            if not self._absent:
                # Once; health says it as long as it lasts.
                self._absent = True
                logger.error("the pages process does not answer (%s): pages are 503 until it does", error)
            text = "The pages are not there at the moment: try again in a minute.\n"
            raise _Refused(503, text, at_once=True) from None
        self._absent = False


class _Body:
    """The body of a request. `complete`: it was read to its end. Each byte is reserved before it is kept."""

    def __init__(self, reserve: Shares, keys: tuple[str]) -> None:
        self._shares, self._keys = reserve, keys
        self._reserved = 0
        self.content, self.complete = b"", False

    async def read(self, scope: Message, receive: Receive) -> None:
        """Read it whole. What is said of its length is reserved at once. Raises _Refused, _Left."""
        most = _body_max(scope)
        too_large = _Refused(413, f"The request is larger than {most // 1024} KB.\n")
        given = header(scope, b"content-length")
        if given:
            if not given.isdigit() or int(given) > most:
                await _discard(receive)
                raise too_large
            self._reserve(int(given))
        pieces, size = [], 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while not self.complete:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Left
                    pieces.append(message.get("body", b""))
                    size += len(pieces[-1])
                    if size > most:
                        await _discard(receive)
                        raise too_large
                    self._reserve(size)
                    self.complete = not message.get("more_body")
        except TimeoutError:
            raise _Refused(408, f"The request did not arrive within {BODY_SECONDS:g} s.\n") from None
        self.content = b"".join(pieces)

    def _reserve(self, size: int) -> None:
        more = size - self._reserved
        if more > 0:
            if self._shares.take(self._keys, more) is not None:
                raise _Refused(503, "Too much is being sent at the moment: try again in a few seconds.\n")
            self._reserved = size

    def release(self) -> None:
        """Give back what was reserved."""
        if self._reserved:
            self._shares.give_back(self._keys, self._reserved)
            self._reserved = 0


async def _discard(receive: Receive) -> None:
    """Read on for a while and forget it. Raises _Left."""
    size, until = 0, asyncio.get_running_loop().time() + DISCARD_SECONDS
    try:
        async with asyncio.timeout_at(until):
            while size < DISCARD_MAX:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Left
                size += len(message.get("body", b""))
                if not message.get("more_body"):
                    return
    except TimeoutError:
        return


def _check_head(scope: Message) -> None:
    """Refuse a head that is larger than any of a browser's, before anybody looks closer. Raises _Refused."""
    if len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"]) > TARGET_MAX:
        raise _Refused(414, "The address is longer than 8 KB.\n")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_MAX:
        raise _Refused(431, "The headers of the request are larger than 32 KB.\n")


def _body_max(scope: Message) -> int:
    """The bytes that a request may have: more than a form's where files are uploaded, by somebody with a session."""
    has_session = f"{settings.SESSION_COOKIE_NAME}=".encode() in header(scope, b"cookie")
    if has_session and LINES.fullmatch(scope["path"]):
        return LINES_MAX
    return UPLOAD_MAX if has_session and UPLOADS.fullmatch(scope["path"]) else BODY_MAX


def _has_body(scope: Message) -> bool:
    return header(scope, b"content-length") not in (b"", b"0") or bool(header(scope, b"transfer-encoding"))


async def _plain(send: Send, refused: _Refused, *, close: bool) -> None:
    """Answer with a line of text. close: what follows on the connection may be the rest of a body."""
    body = refused.text.encode()
    headers = [PLAIN, (b"content-length", str(len(body)).encode())]
    if refused.status == 503:
        headers.append((b"retry-after", b"5"))
    if close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
