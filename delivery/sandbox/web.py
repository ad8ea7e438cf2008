"""A small HTTP/1.1 server for the sandbox's page and API, on h11.

It needs no login: it listens on the loopback address, stands in for providers, and holds no real token or key. What a
login would protect from is a web page elsewhere that reaches it through the developer's own browser; so a request under
a foreign host name (DNS rebinding) or from a foreign page (Origin) is refused. Invariants: bodies are bounded, each
request is answered once, and what a handler gets wrong is a 500 with a line in the log and nothing in the answer.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import parse_qsl, urlsplit

import h11
import msgspec

log = logging.getLogger(__name__)

MOST_BODY = 4 << 20
IDLE = 120.0
OURS = frozenset({"127.0.0.1", "localhost", "::1"})
CLOSED = (ConnectionError, h11.RemoteProtocolError, TimeoutError)


class WebRequest(msgspec.Struct):
    """A request of a browser or tool: path and query decoded, the body whole."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class WebResponse(msgspec.Struct):
    """A response; with `stream`, its pieces follow until the client disconnects."""

    status: int = 200
    content_type: str = "application/json"
    body: bytes = b""
    headers: list[tuple[str, str]] = []
    stream: AsyncIterator[bytes] | None = None


Handler = Callable[[WebRequest], Awaitable[WebResponse]]


def json_response(content: object, status: int = 200) -> WebResponse:
    """A response with the object as JSON."""
    return WebResponse(status=status, body=msgspec.json.encode(content) + b"\n")


def error_response(status: int, text: str) -> WebResponse:
    """A response that says what is wrong, as JSON."""
    return json_response({"error": text}, status)


class Web:
    """The server of one port."""

    def __init__(self, handler: Handler) -> None:
        """handler: answers each request that is let in."""
        self._handler = handler
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listens (port 0: any free one). Raises OSError when the port cannot be had."""
        self._server = await asyncio.start_server(self._connected, host, port, backlog=256)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stops listening and ends all connections, streams too."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        try:
            await self._serve(reader, writer, h11.Connection(h11.SERVER))
        except CLOSED:
            pass  # the client is gone, or was none
        except asyncio.CancelledError:
            writer.transport.abort()  # we are stopping; asyncio's streams log a cancelled connection as a fault
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wire: h11.Connection) -> None:
        while True:
            request = await self._read(reader, wire)
            if request is None:
                return
            response = await self._answer(request)
            length = [] if response.stream else [("content-length", str(len(response.body)))]
            ending = [("connection", "close")] if response.stream else []
            headers = [("content-type", response.content_type), *length, *ending, *response.headers]
            writer.write(wire.send(h11.Response(status_code=response.status, headers=headers)) or b"")
            if response.stream is not None:
                async for piece in response.stream:
                    writer.write(wire.send(h11.Data(data=piece)) or b"")
                    await writer.drain()
                return
            if response.body and request.method != "HEAD":
                writer.write(wire.send(h11.Data(data=response.body)) or b"")
            writer.write(wire.send(h11.EndOfMessage()) or b"")
            await writer.drain()
            if wire.our_state is h11.MUST_CLOSE or wire.their_state is not h11.DONE:
                return
            wire.start_next_cycle()

    async def _read(self, reader: asyncio.StreamReader, wire: h11.Connection) -> WebRequest | None:
        """The next request, or None when there is none to come."""
        request: WebRequest | None = None
        while True:
            event = wire.next_event()
            if event is h11.NEED_DATA:
                async with asyncio.timeout(IDLE):
                    wire.receive_data(await reader.read(65536))
            elif isinstance(event, h11.Request):
                url = urlsplit(event.target.decode("latin-1"))
                headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
                method = event.method.decode("latin-1")
                request = WebRequest(method, url.path, dict(parse_qsl(url.query, keep_blank_values=True)), headers, b"")
            elif isinstance(event, h11.Data) and request is not None:
                request.body += bytes(event.data)
                if len(request.body) > MOST_BODY:
                    return None
            elif isinstance(event, h11.EndOfMessage):
                return request
            else:
                return None

    async def _answer(self, request: WebRequest) -> WebResponse:
        refusal = foreign(request.headers)
        if refusal:
            return error_response(403, refusal)
        try:
            return await self._handler(request)
        except Exception:
            log.exception("the sandbox's page could not answer %s %s", request.method, request.path)
            return error_response(500, "the sandbox could not answer; its log says why")


def foreign(headers: dict[str, str]) -> str:
    """Why a request is not from this machine's own pages and tools; "" when it is."""
    host = headers.get("host", "")
    if urlsplit("//" + host).hostname not in OURS:
        return "this page answers to localhost and 127.0.0.1 only"
    origin = headers.get("origin", "")
    if origin and origin != f"http://{host}":
        return "this page answers to itself only"
    return ""
